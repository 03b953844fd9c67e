// Package manifests renders the charts and the kustomizations of deploy/ as Helm and kustomize do, for tests, which are in a module of their own: the
// product needs neither.
package manifests

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// Where what is tested lies, from this directory.
const (
	Charts         = ".."
	Kustomizations = "../../kubernetes"
)

// Release is the name of rendered releases.
const Release = "ci"

// Case is something that operators apply: an example of a chart's values, or of a kustomization.
type Case struct {
	// Name is that of a test.
	Name string
	// Chart is the chart's name; empty for a kustomization.
	Chart string
	// Path is the file of values, or the kustomization's directory.
	Path string
}

// Cases lists all examples.
func Cases() ([]Case, error) {
	var all []Case
	values, err := filepath.Glob(Charts + "/*/examples/*.yaml")
	if err != nil {
		return nil, err
	}
	for _, file := range values {
		chart := filepath.Base(filepath.Dir(filepath.Dir(file)))
		all = append(all, Case{"helm/" + chart + "/" + strings.TrimSuffix(filepath.Base(file), ".yaml"), chart, file})
	}
	kustomizations, err := filepath.Glob(Kustomizations + "/examples/*/kustomization.yaml")
	if err != nil {
		return nil, err
	}
	for _, file := range kustomizations {
		all = append(all, Case{"kustomize/" + filepath.Base(filepath.Dir(file)), "", filepath.Dir(file)})
	}
	return all, nil
}

// Objects renders a case; a chart for the namespace of that name.
func (c Case) Objects(namespace string) ([]*unstructured.Unstructured, error) {
	if c.Chart == "" {
		return Kustomize(c.Path)
	}
	values, err := chartutil.ReadValuesFile(c.Path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Path, err)
	}
	return Render(c.Chart, values, namespace)
}

// Render renders a chart. Its notes are rendered, too, and left out. The error of values that the chart's schema refuses says where they are.
func Render(chart string, values map[string]any, namespace string) ([]*unstructured.Unstructured, error) {
	loaded, err := loader.LoadDir(filepath.Join(Charts, chart))
	if err != nil {
		return nil, err
	}
	options := chartutil.ReleaseOptions{Name: Release, Namespace: namespace, Revision: 1, IsInstall: true}
	all, err := chartutil.ToRenderValues(loaded, values, options, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	files, err := engine.Engine{Strict: true}.Render(loaded, all)
	if err != nil {
		return nil, err
	}
	var objects []*unstructured.Unstructured
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if path.Ext(name) != ".yaml" {
			continue
		}
		found, err := parse([]byte(files[name]))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		objects = append(objects, found...)
	}
	return objects, nil
}

// Kustomize builds a directory.
func Kustomize(dir string) ([]*unstructured.Unstructured, error) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	text, err := built.AsYaml()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return parse(text)
}

// parse reads the documents of a YAML file; empty ones don't count.
func parse(text []byte) ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		var document runtime.RawExtension
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if len(document.Raw) == 0 || string(document.Raw) == "null" {
			continue
		}
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(document.Raw); err != nil {
			return nil, err
		}
		all = append(all, object)
	}
}
