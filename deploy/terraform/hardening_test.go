package terraform_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// checkOpenDoors: nothing comes in from the internet, and no machine has an address there.
func checkOpenDoors(all tree) []string {
	var found []string
	for _, m := range all {
		for _, at := range m.spots() {
			if at.top.Type != "resource" {
				continue
			}
			kind := at.top.Labels[0]
			incoming := kind == "aws_vpc_security_group_ingress_rule" || slices.Contains(at.path, "ingress") ||
				kind == "google_compute_firewall" && at.attr.Name == "source_ranges"
			if incoming {
				for _, word := range m.possible(at.attr.Expr, 0) {
					if strings.HasSuffix(word, "/0") {
						found = append(found, fmt.Sprintf("%s lets the whole internet in", at))
					}
				}
			}
			public := at.attr.Name == "map_public_ip_on_launch" || at.attr.Name == "associate_public_ip_address"
			if public && written(at.attr) != "false" || slices.Contains(at.path, "access_config") {
				found = append(found, fmt.Sprintf("%s gives machines addresses on the internet", at))
			}
		}
		// A rule for all traffic in, without a source, means from everywhere.
		for address, block := range m.resources {
			if block.Labels[0] == "google_compute_firewall" && text(block.Body.Attributes["direction"]) != "EGRESS" &&
				block.Body.Attributes["source_ranges"] == nil && block.Body.Attributes["source_service_accounts"] == nil {
				found = append(found, address+" lets the whole internet in: it has no source")
			}
			for _, inner := range block.Body.Blocks {
				if inner.Type == "network_interface" && slices.ContainsFunc(inner.Body.Blocks, func(b *hclsyntax.Block) bool { return b.Type == "access_config" }) {
					found = append(found, address+" gives machines addresses on the internet")
				}
			}
		}
	}
	return found
}

// possible are the texts that an expression may have by itself: those in it, and those of the defaults and locals that it refers to.
func (m *module) possible(expression hclsyntax.Expression, depth int) []string {
	all := words(expression)
	if depth > 8 {
		return all
	}
	for _, traversal := range hclsyntax.Variables(expression) {
		name := attribute(traversal, 1)
		if traversal.RootName() == "var" && m.variables[name] != nil && m.variables[name].Body.Attributes["default"] != nil {
			all = append(all, m.possible(m.variables[name].Body.Attributes["default"].Expr, depth+1)...)
		}
		if traversal.RootName() == "local" && m.locals[name] != nil {
			all = append(all, m.possible(m.locals[name].Expr, depth+1)...)
		}
	}
	return all
}

// want is an attribute that a kind of block must have, as it is written.
type want struct{ resource, block, attribute, value string }

var hardened = []want{
	{"aws_launch_template", "metadata_options", "http_tokens", "required"},
	{"aws_launch_template", "metadata_options", "http_put_response_hop_limit", "1"},
	{"aws_launch_template", "block_device_mappings.ebs", "encrypted", "true"},
	{"aws_launch_template", "", "instance_initiated_shutdown_behavior", "terminate"},
	{"aws_instance", "metadata_options", "http_tokens", "required"},
	{"aws_instance", "metadata_options", "http_put_response_hop_limit", "1"},
	{"aws_instance", "root_block_device", "encrypted", "true"},
	{"aws_ebs_volume", "", "encrypted", "true"},
	{"aws_autoscaling_group", "", "protect_from_scale_in", "true"},
	{"google_compute_instance", "shielded_instance_config", "enable_secure_boot", "true"},
	{"google_compute_instance", "shielded_instance_config", "enable_vtpm", "true"},
	{"google_compute_instance", "shielded_instance_config", "enable_integrity_monitoring", "true"},
	// Images for arm64 have none.
	{"google_compute_instance_template", "shielded_instance_config", "enable_secure_boot", "var.secure_boot"},
	{"google_compute_instance_template", "shielded_instance_config", "enable_vtpm", "true"},
	{"google_compute_instance_template", "shielded_instance_config", "enable_integrity_monitoring", "true"},
	{"google_compute_instance_template", "advanced_machine_features", "enable_nested_virtualization", "var.nested_virtualization"},
	{"google_compute_network", "", "auto_create_subnetworks", "false"},
}

// checkHardening: what makes a machine safe is there, and as it should be.
func checkHardening(all tree) []string {
	var found []string
	for dir, m := range all {
		for address, block := range m.resources {
			for _, rule := range hardened {
				if rule.resource != block.Labels[0] {
					continue
				}
				var values []string
				for _, at := range within(block, block.Body, nil, nil) {
					if strings.Join(at.path, ".") == rule.block && at.attr.Name == rule.attribute {
						values = append(values, written(at.attr))
					}
				}
				if len(values) == 0 || slices.ContainsFunc(values, func(v string) bool { return v != rule.value }) {
					found = append(found, fmt.Sprintf("%s: %s: %s.%s is %q, want %s", dir, address, rule.block, rule.attribute, values, rule.value))
				}
			}
		}
	}
	return found
}

// written is a constant, or the variable that an attribute is; "" for anything else.
func written(at *hclsyntax.Attribute) string {
	if traversals := hclsyntax.Variables(at.Expr); len(traversals) == 1 {
		return traversals[0].RootName() + "." + attribute(traversals[0], 1)
	}
	value, problems := at.Expr.Value(nil)
	if problems.HasErrors() {
		return ""
	}
	switch value.Type().FriendlyName() {
	case "string":
		return value.AsString()
	case "bool":
		return fmt.Sprint(value.True())
	case "number":
		return value.AsBigFloat().String()
	}
	return ""
}
