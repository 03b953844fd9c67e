package terraform_test

import (
	"fmt"
	"regexp"
	"slices"
)

var (
	// secret are names of what is kept secret, reference of what names a secret.
	secret    = regexp.MustCompile(`(?i)(password|passwd|token|secret|secret_string|secret_data|credentials?|api_key|access_key|private_key|raw_key|auth_config)$`)
	reference = regexp.MustCompile(`_secret$`)

	// looksSecret are forms that keys and tokens have: marks of makers, and long words of letters and digits, which names aren't.
	looksSecret = regexp.MustCompile(`-----BEGIN|\b(AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}|\bglpat-|\bxox[abp]-|\bAIza[A-Za-z0-9_-]{30}|\b[0-9a-fA-F]{32,}\b|://[^/@\s\]]+:[^/@\s]+@`)

	// holds are types whose values would stand in the state.
	holds = regexp.MustCompile(`secret_version|secret_policy_value|_ssm_parameters?$|access_key$|service_account_(key|access_token)|_password$|private_key$|key_pair$|auth_token`)
)

// checkSecrets: none is a literal, and none comes into Terraform's state, the user data or the metadata.
func checkSecrets(all tree) []string {
	var found []string
	for dir, m := range all {
		for _, at := range m.spots() {
			if secret.MatchString(at.attr.Name) && !reference.MatchString(at.attr.Name) && len(words(at.attr.Expr)) > 0 {
				found = append(found, fmt.Sprintf("%s has a literal", at))
			}
			if at.attr.Name == "default" && at.top.Type == "variable" && secret.MatchString(at.top.Labels[0]) && text(at.attr) != "" {
				found = append(found, fmt.Sprintf("%s has a literal", at))
			}
			for _, word := range words(at.attr.Expr) {
				if looksSecret.MatchString(word) {
					found = append(found, fmt.Sprintf("%s looks like a secret", at))
				}
			}
		}
		for _, block := range m.blocks {
			if (block.Type == "resource" || block.Type == "data" || block.Type == "ephemeral") && holds.MatchString(block.Labels[0]) {
				found = append(found, fmt.Sprintf("%s: %s would put a secret into the state", dir, block.Labels[0]))
			}
		}
	}
	return found
}

var (
	account = regexp.MustCompile(`\b[0-9]{12}\b`)
	region  = regexp.MustCompile(`\b(us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-[0-9]\b|\b(us|europe|asia|australia|southamerica|northamerica|me|africa)-[a-z]+[0-9]\b`)
	network = regexp.MustCompile(`\b[0-9]{1,3}(\.[0-9]{1,3}){3}\b`)
	// everywhere is no one's network: what leads out, and what the checks of open doors look at.
	everywhere = regexp.MustCompile(`^(0\.0\.0\.0|::)/0$`)
)

// checkHardWired: no account, region or network of anybody's stands in the modules, but as the default of a variable.
func checkHardWired(all tree) []string {
	var found []string
	for _, m := range all {
		for _, at := range m.spots() {
			if slices.Contains([]string{"description", "error_message"}, at.attr.Name) {
				continue
			}
			inDefault := at.top.Type == "variable" && at.attr.Name == "default"
			for _, word := range words(at.attr.Expr) {
				if account.MatchString(word) || region.MatchString(word) || network.MatchString(word) && !everywhere.MatchString(word) && !inDefault {
					found = append(found, fmt.Sprintf("%s has %q hard-wired", at, word))
				}
			}
		}
	}
	return found
}
