package compose

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/open-executor/executor/dev/offline/rules_oci/internal/jqjson"
)

// TextAttributes are the attributes that rules_oci's rules take as files; its macros write lists and dicts into such files.
var TextAttributes = []string{"annotations", "cmd", "created", "entrypoint", "env", "exposed_ports", "labels", "volumes"}

// changes returns what is merged into the configuration. The order of the keys is that in which rules_oci sets them.
func (i Image) changes(config *jqjson.Object) (*jqjson.Object, error) {
	for attribute, text := range i.Texts {
		if !utf8.ValidString(text) {
			return nil, fmt.Errorf("%s: the text is not UTF-8", attribute)
		}
	}
	changes := &jqjson.Object{}
	if text, given := i.Texts["created"]; given {
		if _, err := time.Parse(time.RFC3339Nano, text); err != nil {
			return nil, fmt.Errorf("created: %q is no time such as %q (with nothing around it, no newline either)", text, epoch)
		}
		changes.Set("created", text)
	}
	inner := &jqjson.Object{}
	if text, given := i.Texts["entrypoint"]; given {
		inner.Set("Cmd", nil) // the base's words were meant for the base's program
		inner.Set("Entrypoint", words(text))
	}
	if text, given := i.Texts["cmd"]; given {
		inner.Set("Cmd", words(text))
	}
	for _, set := range []struct{ attribute, key string }{{"exposed_ports", "ExposedPorts"}, {"volumes", "Volumes"}} {
		if text, given := i.Texts[set.attribute]; given {
			members, err := members(set.attribute, text)
			if err != nil {
				return nil, err
			}
			inner.Set(set.key, members)
		}
	}
	if text, given := i.Texts["env"]; given {
		env, err := environment(config, text)
		if err != nil {
			return nil, err
		}
		inner.Set("Env", env)
	}
	if text, given := i.Texts["labels"]; given {
		labels, err := pairs("labels", text)
		if err != nil {
			return nil, err
		}
		inner.Set("Labels", labels)
	}
	if i.User != "" {
		inner.Set("User", i.User)
	}
	if i.Workdir != "" {
		inner.Set("WorkingDir", i.Workdir)
	}
	if len(inner.Keys()) > 0 {
		changes.Set("config", inner)
	}
	return changes, nil
}

// words reads cmd and entrypoint: a word per line, in which %5Cn stands for a newline.
func words(text string) jqjson.Array {
	words := jqjson.Array{}
	for line := range strings.SplitSeq(text, "\n") {
		if line != "" {
			words = append(words, strings.ReplaceAll(line, "%5Cn", "\n"))
		}
	}
	return words
}

// members reads exposed_ports and volumes: entries between commas.
func members(attribute, text string) (*jqjson.Object, error) {
	members := &jqjson.Object{}
	if text == "" {
		return members, nil
	}
	for member := range strings.SplitSeq(text, ",") {
		if member == "" || member != strings.TrimSpace(member) {
			return nil, fmt.Errorf("%s: the entry %q is empty or has space or a newline around it", attribute, member)
		}
		members.Set(member, &jqjson.Object{})
	}
	return members, nil
}

// pairs reads labels and annotations: a key=value per line.
func pairs(attribute, text string) (*jqjson.Object, error) {
	pairs := &jqjson.Object{}
	for line := range strings.SplitSeq(text, "\n") {
		if line == "" {
			continue
		}
		key, value, found := strings.Cut(line, "=")
		if !found || key == "" {
			return nil, fmt.Errorf("%s: the line %q is no key=value", attribute, line)
		}
		pairs.Set(key, value)
	}
	return pairs, nil
}

// reference is a variable in a value; rules_oci takes the braces singly, too.
var reference = regexp.MustCompile(`\$\{?([a-zA-Z0-9_]+)\}?`)

// environment applies a key=value per line to the variables of the base. A value may name variables of the base and of lines above it.
func environment(base *jqjson.Object, text string) (jqjson.Array, error) {
	env := &jqjson.Object{}
	var before jqjson.Array
	if config, ok := base.Get("config").(*jqjson.Object); ok {
		before, _ = config.Get("Env").(jqjson.Array)
	}
	for _, entry := range before {
		text, _ := entry.(string)
		key, value, _ := strings.Cut(text, "=")
		env.Set(key, value)
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		if text == "" {
			break
		}
		key, value, found := strings.Cut(line, "=")
		if !found || key == "" {
			return nil, fmt.Errorf("env: the line %q is no key=value", line)
		}
		value, err := expand(env, value)
		if err != nil {
			return nil, fmt.Errorf("env: %s: %w", key, err)
		}
		env.Set(key, value)
	}
	entries := jqjson.Array{}
	for _, key := range env.Keys() {
		entries = append(entries, fmt.Sprintf("%s=%s", key, env.Get(key)))
	}
	return entries, nil
}

func expand(env *jqjson.Object, value string) (string, error) {
	var unknown error
	expanded := reference.ReplaceAllStringFunc(value, func(found string) string {
		name := reference.FindStringSubmatch(found)[1]
		known, ok := env.Get(name).(string)
		if !ok && unknown == nil {
			unknown = fmt.Errorf("%q names %s, which neither the base nor a line above sets", value, name)
		}
		return known
	})
	return expanded, unknown
}
