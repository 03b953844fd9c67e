package manifests

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const testNamespace = "somewhere"

func cases(t *testing.T) []Case {
	t.Helper()
	all, err := Cases()
	require.NoError(t, err)
	require.Greater(t, len(all), 8)
	return all
}

// each runs check as a test of each example.
func each(t *testing.T, check func(t *testing.T, c Case, objects []*unstructured.Unstructured)) {
	t.Helper()
	for _, c := range cases(t) {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			objects, err := c.Objects(testNamespace)
			require.NoError(t, err)
			require.NotEmpty(t, objects)
			check(t, c, objects)
		})
	}
}

// example is an example's objects.
func example(t *testing.T, name string) []*unstructured.Unstructured {
	t.Helper()
	for _, c := range cases(t) {
		if c.Name == name {
			objects, err := c.Objects(testNamespace)
			require.NoError(t, err)
			return objects
		}
	}
	require.Fail(t, "there is no such example", name)
	return nil
}

// of returns the objects of a kind.
func of(objects []*unstructured.Unstructured, kind string) []*unstructured.Unstructured {
	var found []*unstructured.Unstructured
	for _, object := range objects {
		if object.GetKind() == kind {
			found = append(found, object)
		}
	}
	return found
}

// one returns the only object of a kind.
func one(t *testing.T, objects []*unstructured.Unstructured, kind string) *unstructured.Unstructured {
	t.Helper()
	found := of(objects, kind)
	require.Len(t, found, 1, kind)
	return found[0]
}

// at is a member of an object, which must be there.
func at(t *testing.T, object *unstructured.Unstructured, path ...string) any {
	t.Helper()
	value, found, err := unstructured.NestedFieldNoCopy(object.Object, path...)
	require.NoError(t, err)
	require.True(t, found, "%s %s has no %v", object.GetKind(), object.GetName(), path)
	return value
}
