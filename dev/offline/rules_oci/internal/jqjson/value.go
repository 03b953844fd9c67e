// Package jqjson reads JSON and writes it as jq does: keys in the order in which they came, two spaces of indent, numbers as they were
// written. The real rules_oci edits manifests and configurations with jq, so the same edits here give the same bytes, and with them
// the same digests.
package jqjson

import "slices"

// A value is nil, a bool, a json.Number, a string, an Array or an *Object.
type (
	// Array is a JSON array.
	Array = []any
	// Object is a JSON object whose keys keep their order. Its zero value is empty. It is not safe for concurrent use.
	Object struct {
		keys   []string
		values map[string]any
	}
)

// Of returns an object of keys and values by turns.
func Of(keysAndValues ...any) *Object {
	o := &Object{}
	for i := 0; i+1 < len(keysAndValues); i += 2 {
		o.Set(keysAndValues[i].(string), keysAndValues[i+1])
	}
	return o
}

// Delete removes a key; the others keep their order.
func (o *Object) Delete(key string) {
	if _, found := o.values[key]; found {
		delete(o.values, key)
		o.keys = slices.DeleteFunc(o.keys, func(k string) bool { return k == key })
	}
}

// Get returns the value of a key, and nil when there is none.
func (o *Object) Get(key string) any { return o.values[key] }

// Keys returns the keys in their order.
func (o *Object) Keys() []string { return slices.Clone(o.keys) }

// Set gives a key a value. A key that is there keeps its place, a new one comes last.
func (o *Object) Set(key string, value any) {
	if o.values == nil {
		o.values = make(map[string]any)
	}
	if _, found := o.values[key]; !found {
		o.keys = append(o.keys, key)
	}
	o.values[key] = value
}

// Merge sets what other holds, objects in objects likewise, as jq's "*" does.
func (o *Object) Merge(other *Object) {
	for _, key := range other.keys {
		ours, isObject := o.Get(key).(*Object)
		theirs, areObjects := other.Get(key).(*Object)
		if isObject && areObjects {
			ours.Merge(theirs)
			continue
		}
		o.Set(key, other.Get(key))
	}
}
