package batches

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Environment is a step's: in JSON an object, or an array whose elements are an object with one member or the name of a variable that is
// taken over from outside.
type Environment struct{ variables []variable }

// variable has no value when it is taken over.
type variable struct {
	name  string
	value *string
}

// Resolve returns the variables' values. Those that are taken over come from environ, as os.Environ gives it; they are empty if missing there.
func (e Environment) Resolve(environ []string) map[string]string {
	outside := make(map[string]string, len(environ))
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		outside[name] = value
	}
	resolved := make(map[string]string, len(e.variables))
	for _, v := range e.variables {
		if v.value == nil {
			resolved[v.name] = outside[v.name]
			continue
		}
		resolved[v.name] = *v.value
	}
	return resolved
}

// MarshalJSON writes an object if every variable has its value, an array otherwise.
func (e Environment) MarshalJSON() ([]byte, error) {
	object := make(map[string]string, len(e.variables))
	array := make([]any, len(e.variables))
	taken := false
	for i, v := range e.variables {
		if v.value == nil {
			taken, array[i] = true, v.name
			continue
		}
		object[v.name] = *v.value
		array[i] = map[string]string{v.name: *v.value}
	}
	if taken {
		return json.Marshal(array)
	}
	return json.Marshal(object)
}

// UnmarshalJSON reads either form.
func (e *Environment) UnmarshalJSON(data []byte) error {
	e.variables = nil
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
		return e.add(data)
	}
	var array []json.RawMessage
	if err := json.Unmarshal(data, &array); err != nil {
		return err
	}
	for i, element := range array {
		var name string
		if json.Unmarshal(element, &name) == nil {
			e.variables = append(e.variables, variable{name: name})
			continue
		}
		before := len(e.variables)
		if err := e.add(element); err != nil || len(e.variables) != before+1 {
			return fmt.Errorf("env[%d] is neither a name nor an object with one name and its text: %s", i, element)
		}
	}
	return nil
}

// add appends an object's members.
func (e *Environment) add(data []byte) error {
	var object map[string]string
	if err := json.Unmarshal(data, &object); err != nil {
		return fmt.Errorf("env wants names with text: %w", err)
	}
	for name, value := range object {
		e.variables = append(e.variables, variable{name, &value})
	}
	return nil
}
