package manifests

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
)

// Typed gives an object its Go type. Members that the type doesn't have, and kinds that Kubernetes itself doesn't have, are errors.
func Typed(object *unstructured.Unstructured) (runtime.Object, error) {
	typed, err := scheme.Scheme.New(object.GroupVersionKind())
	if err != nil {
		return nil, err
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, typed, true); err != nil {
		return nil, fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
	}
	return typed, nil
}

// Template is the pod template of a workload; nil for objects of other kinds.
func Template(object *unstructured.Unstructured) (*corev1.PodTemplateSpec, error) {
	found, ok, err := unstructured.NestedMap(object.Object, "spec", "template")
	if err != nil || !ok {
		return nil, err
	}
	template := &corev1.PodTemplateSpec{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(found, template, true); err != nil {
		return nil, fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
	}
	return template, nil
}

// Containers are all of a pod, sidecars included.
func Containers(template *corev1.PodTemplateSpec) []corev1.Container {
	spec := template.Spec
	return append(append([]corev1.Container{}, spec.InitContainers...), spec.Containers...)
}

// Foreign tells whether an object's kind comes with an operator, and not with Kubernetes.
func Foreign(object *unstructured.Unstructured) bool {
	return !scheme.Scheme.Recognizes(object.GroupVersionKind())
}
