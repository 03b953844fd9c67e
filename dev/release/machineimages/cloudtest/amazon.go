package cloudtest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

type object = map[string]any

func printed(value any) (string, error) {
	text, err := json.Marshal(value)
	return string(text) + "\n", err
}

// amazon does a call of "aws ec2", and returns what aws prints of it.
func (c *Cloud) amazon(words []string) (string, error) {
	if len(words) < 2 || words[0] != "ec2" {
		return "", fmt.Errorf("unknown command %q", words)
	}
	given := flags(words[2:])
	region := c.region(one(given, "--region"))
	image := region.Images[one(given, "--image-id")]
	switch words[1] {
	case "describe-images":
		return region.describe(given)
	case "copy-image":
		return c.copyImage(one(given, "--region"), given)
	case "describe-snapshots":
		key, value, _ := strings.Cut(strings.TrimPrefix(one(given, "--filters"), "Name=tag:"), ",Values=")
		found := []object{}
		for _, id := range slices.Sorted(maps.Keys(region.Snapshots)) {
			if region.Snapshots[id][key] == value {
				found = append(found, object{"SnapshotId": id})
			}
		}
		return printed(object{"Snapshots": found})
	case "create-tags":
		key, value, _ := strings.Cut(strings.TrimPrefix(one(given, "--tags"), "Key="), ",Value=")
		for _, id := range given["--resources"] {
			region.Snapshots[id][key] = value
		}
		return "", nil
	case "delete-snapshot":
		id := one(given, "--snapshot-id")
		for _, image := range region.Images {
			if image.Snapshot == id {
				return "", fmt.Errorf("an error occurred (InvalidSnapshot.InUse): %s is in use by %s", id, image.ImageID)
			}
		}
		delete(region.Snapshots, id)
		return "", nil
	}
	if image == nil {
		return "", fmt.Errorf("an error occurred (InvalidAMIID.NotFound) when calling %s", words[1])
	}
	switch words[1] {
	case "modify-image-attribute":
		if one(given, "--launch-permission") != "Add=[{Group=all}]" {
			return "", fmt.Errorf("unknown permission %q", given)
		}
		image.Public = true
		return "", nil
	case "enable-image-deprecation":
		// Amazon keeps minutes.
		image.DeprecationTime = one(given, "--deprecate-at")[:16] + ":00.000Z"
		return printed(object{"Return": true})
	case "deregister-image":
		delete(region.Images, image.ImageID)
		return "", nil
	}
	return "", fmt.Errorf("unknown command %q", words[1])
}

func (r *Region) describe(given map[string][]string) (string, error) {
	name, tag, found := "", "", false
	id := one(given, "--image-ids")
	if id == "" {
		if filter := one(given, "--filters"); strings.HasPrefix(filter, "Name=name,Values=") {
			name, found = strings.CutPrefix(filter, "Name=name,Values=")
		} else {
			tag, found = strings.CutPrefix(filter, "Name=tag:")
		}
		if !found || one(given, "--owners") != "self" {
			return "", fmt.Errorf("unknown question %q", given)
		}
	}
	key, value, _ := strings.Cut(tag, ",Values=")
	shown := []object{}
	for _, image := range slices.SortedFunc(maps.Values(r.Images), func(a, b *AmazonImage) int { return cmp.Compare(a.ImageID, b.ImageID) }) {
		if image.ImageID == id || image.Name == name || tag != "" && image.Tags[key] == value {
			shown = append(shown, image.show())
		}
	}
	return printed(object{"Images": shown})
}

// show is what aws prints of it. A copy gets on by being looked at.
func (i *AmazonImage) show() object {
	if i.Pending--; i.Pending < 0 && i.State == "pending" {
		i.State = "available"
	}
	i.Pending = max(i.Pending, 0)
	shown := object{
		"ImageId": i.ImageID, "Name": i.Name, "State": i.State, "CreationDate": i.CreationDate, "Public": i.Public,
		"BlockDeviceMappings": []object{{"DeviceName": "/dev/sda1", "Ebs": object{"SnapshotId": i.Snapshot}}, {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"}},
	}
	if i.DeprecationTime != "" {
		shown["DeprecationTime"] = i.DeprecationTime
	}
	tags := []object{}
	for _, key := range slices.Sorted(maps.Keys(i.Tags)) {
		tags = append(tags, object{"Key": key, "Value": i.Tags[key]})
	}
	if len(tags) > 0 {
		shown["Tags"] = tags
	}
	return shown
}

func (c *Cloud) copyImage(to string, given map[string][]string) (string, error) {
	from := c.region(one(given, "--source-region")).Images[one(given, "--source-image-id")]
	if from == nil || len(one(given, "--client-token")) > 64 || given["--copy-image-tags"] == nil {
		return "", fmt.Errorf("no such copy: %q", given)
	}
	image := c.AddAmazon(to, one(given, "--name"), from.CreationDate, maps.Clone(from.Tags))
	image.State, image.Pending = "pending", 1
	return printed(object{"ImageId": image.ImageID})
}

// flags are the words after each flag, also when they are one word with it.
func flags(words []string) map[string][]string {
	given, last := map[string][]string{}, ""
	for _, word := range words {
		if strings.HasPrefix(word, "--") {
			name, value, joined := strings.Cut(word, "=")
			given[name], last = []string{}, name
			if joined {
				given[name] = append(given[name], value)
			}
		} else {
			given[last] = append(given[last], word)
		}
	}
	return given
}

func one(given map[string][]string, name string) string {
	if len(given[name]) != 1 {
		return ""
	}
	return given[name][0]
}
