package cloudtest

import (
	"fmt"
	"maps"
	"slices"
)

// Key is what the stand-in for Google's secret manager holds.
const Key = `{"type": "service_account", "private_key": "PRIVATE-KEY-OF-GOOGLE"}`

// google does a call of gcloud, and returns what gcloud prints of it.
func (c *Cloud) google(words []string) (string, error) {
	switch {
	case len(words) > 3 && slices.Equal(words[:4], []string{"secrets", "versions", "access", "latest"}):
		return Key + "\n", nil
	case len(words) < 3 || words[0] != "compute" || words[1] != "images":
		return "", fmt.Errorf("unknown command %q", words)
	}
	given := flags(words[2:])
	if one(given, "--project") == "" || given["--quiet"] == nil {
		return "", fmt.Errorf("no project, or it may ask: %q", words)
	}
	if words[2] == "list" {
		if given["--show-deprecated"] == nil || given["--no-standard-images"] == nil {
			return "", fmt.Errorf("lists too much or too little: %q", words)
		}
		found := []*GoogleImage{}
		for _, name := range slices.Sorted(maps.Keys(c.Google)) {
			if "family="+c.Google[name].Family == one(given, "--filter") {
				found = append(found, c.Google[name])
			}
		}
		return printed(found)
	}
	image := c.Google[words[3]]
	if image == nil {
		return "", fmt.Errorf("could not fetch resource: the resource 'images/%s' was not found", words[3])
	}
	switch words[2] {
	case "describe":
		return printed(image)
	case "get-iam-policy":
		return image.policy()
	case "add-iam-policy-binding":
		if one(given, "--role") != "roles/compute.imageUser" {
			return "", fmt.Errorf("unknown role %q", given)
		}
		if !slices.Contains(image.Users, one(given, "--member")) {
			image.Users = append(image.Users, one(given, "--member"))
		}
		return image.policy()
	case "update":
		image.Family = one(given, "--family")
		return "", nil
	case "deprecate":
		image.Deprecated = map[string]string{
			"state": one(given, "--state"), "replacement": one(given, "--replacement"), "obsolete": one(given, "--obsolete-on"), "deleted": one(given, "--delete-on"),
		}
		return "", nil
	case "delete":
		delete(c.Google, image.Name)
		return "", nil
	}
	return "", fmt.Errorf("unknown command %q", words[2])
}

func (i *GoogleImage) policy() (string, error) {
	policy := object{"etag": "ACAB", "version": 1}
	if len(i.Users) > 0 {
		policy["bindings"] = []object{{"role": "roles/compute.imageUser", "members": i.Users}}
	}
	return printed(policy)
}
