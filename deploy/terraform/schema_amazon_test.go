package terraform_test

// amazon is of hashicorp/aws, version 6.
var amazon = map[string]shape{
	"data aws_ami": {
		args:   "most_recent owners name_regex executable_users include_deprecated",
		blocks: map[string]shape{"filter": {args: "name! values!"}},
		gives:  "arn name root_device_name image_id",
	},
	"data aws_partition":       {gives: "partition dns_suffix"},
	"data aws_caller_identity": {gives: "account_id arn user_id"},
	"data aws_iam_policy_document": {
		args: "version policy_id source_policy_documents",
		blocks: map[string]shape{"statement": {
			args: "sid effect actions not_actions resources not_resources",
			blocks: map[string]shape{
				"principals": {args: "type! identifiers!"},
				"condition":  {args: "test! variable! values!"},
			},
		}},
		gives: "json minified_json",
	},

	"resource aws_vpc": {args: "cidr_block enable_dns_support enable_dns_hostnames tags", gives: "arn default_security_group_id"},
	"resource aws_default_security_group": {
		args: "vpc_id tags", blocks: map[string]shape{"ingress": securityGroupRule, "egress": securityGroupRule},
	},
	"resource aws_internet_gateway":        {args: "vpc_id tags", gives: "arn"},
	"resource aws_subnet":                  {args: "vpc_id! cidr_block availability_zone map_public_ip_on_launch tags", gives: "arn"},
	"resource aws_eip":                     {args: "domain tags", gives: "public_ip allocation_id"},
	"resource aws_nat_gateway":             {args: "allocation_id subnet_id connectivity_type tags", gives: "public_ip"},
	"resource aws_route_table":             {args: "vpc_id! tags", gives: "arn"},
	"resource aws_route":                   {args: "route_table_id! destination_cidr_block gateway_id nat_gateway_id"},
	"resource aws_route_table_association": {args: "route_table_id! subnet_id gateway_id"},
	"resource aws_security_group": {
		args:   "name name_prefix description vpc_id tags revoke_rules_on_delete",
		blocks: map[string]shape{"ingress": securityGroupRule, "egress": securityGroupRule},
		gives:  "arn",
	},
	"resource aws_vpc_security_group_ingress_rule": {
		args: "security_group_id! ip_protocol! from_port to_port cidr_ipv4 cidr_ipv6 referenced_security_group_id prefix_list_id description tags", gives: "arn",
	},
	"resource aws_vpc_security_group_egress_rule": {
		args: "security_group_id! ip_protocol! from_port to_port cidr_ipv4 cidr_ipv6 referenced_security_group_id prefix_list_id description tags", gives: "arn",
	},
	"resource aws_network_interface": {args: "subnet_id! private_ips security_groups description tags source_dest_check", gives: "arn private_ip"},
	"resource aws_ebs_volume":        {args: "availability_zone! size type encrypted kms_key_id snapshot_id iops throughput tags final_snapshot", gives: "arn"},
	"resource aws_volume_attachment": {args: "device_name! volume_id! instance_id! force_detach skip_destroy stop_instance_before_detaching"},
	"resource aws_instance": {
		args: "ami instance_type iam_instance_profile user_data user_data_base64 user_data_replace_on_change subnet_id vpc_security_group_ids associate_public_ip_address tags volume_tags monitoring",
		blocks: map[string]shape{
			"primary_network_interface": {args: "network_interface_id!"},
			"metadata_options":          metadataOfAmazon,
			"root_block_device":         {args: "volume_size volume_type encrypted kms_key_id delete_on_termination tags"},
			"ebs_block_device":          {args: "device_name! volume_size volume_type encrypted kms_key_id delete_on_termination"},
		},
		gives: "arn private_ip",
	},
	"resource aws_launch_template": {
		args: "name name_prefix description image_id instance_type user_data vpc_security_group_ids tags instance_initiated_shutdown_behavior update_default_version",
		blocks: map[string]shape{
			"iam_instance_profile": {args: "arn name"},
			"metadata_options":     metadataOfAmazon,
			"block_device_mappings": {
				args:   "device_name no_device virtual_name",
				blocks: map[string]shape{"ebs": {args: "volume_size volume_type encrypted kms_key_id delete_on_termination iops throughput"}},
			},
			"cpu_options":             {args: "nested_virtualization core_count threads_per_core"},
			"instance_market_options": {args: "market_type", blocks: map[string]shape{"spot_options": {args: "max_price spot_instance_type"}}},
			"tag_specifications":      {args: "resource_type tags"},
			"network_interfaces":      {args: "associate_public_ip_address security_groups subnet_id"},
		},
		gives: "arn latest_version",
	},
	"resource aws_autoscaling_group": {
		args: "min_size! max_size! name name_prefix vpc_zone_identifier health_check_type health_check_grace_period default_instance_warmup desired_capacity protect_from_scale_in suspended_processes termination_policies force_delete",
		blocks: map[string]shape{
			"launch_template": {args: "id name version"},
			"tag":             {args: "key! value! propagate_at_launch!"},
		},
		gives: "arn",
	},
	"resource aws_autoscaling_policy": {
		args:   "name! autoscaling_group_name! policy_type adjustment_type metric_aggregation_type estimated_instance_warmup cooldown",
		blocks: map[string]shape{"step_adjustment": {args: "scaling_adjustment! metric_interval_lower_bound metric_interval_upper_bound"}},
		gives:  "arn",
	},
	"resource aws_cloudwatch_metric_alarm": {
		args: "alarm_name! comparison_operator! evaluation_periods! alarm_description namespace metric_name dimensions statistic threshold period treat_missing_data alarm_actions tags", gives: "arn",
	},

	"resource aws_iam_role":             {args: "assume_role_policy! name name_prefix description path permissions_boundary tags", gives: "arn"},
	"resource aws_iam_role_policy":      {args: "role! policy! name"},
	"resource aws_iam_instance_profile": {args: "name name_prefix role path tags", gives: "arn"},
	"resource aws_iam_policy":           {args: "policy! name name_prefix description path tags", gives: "arn"},
}

var (
	securityGroupRule = shape{args: "from_port! to_port! protocol! cidr_blocks ipv6_cidr_blocks security_groups description self"}
	metadataOfAmazon  = shape{args: "http_endpoint http_tokens http_put_response_hop_limit http_protocol_ipv6 instance_metadata_tags"}
)
