package manifests

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func policy(t *testing.T, objects []*unstructured.Unstructured, name string) networkingv1.NetworkPolicySpec {
	t.Helper()
	for _, object := range of(objects, "NetworkPolicy") {
		if object.GetName() == name {
			typed, err := Typed(object)
			require.NoError(t, err)
			return typed.(*networkingv1.NetworkPolicy).Spec
		}
	}
	require.Fail(t, "there is no such policy", name)
	return networkingv1.NetworkPolicySpec{}
}

// reaches tells whether a policy lets packets out to an address, by its blocks.
func reaches(t *testing.T, spec networkingv1.NetworkPolicySpec, address string) bool {
	t.Helper()
	within := func(cidr string) bool {
		prefix, err := netip.ParsePrefix(cidr)
		require.NoError(t, err)
		return prefix.Contains(netip.MustParseAddr(address))
	}
	for _, rule := range spec.Egress {
		for _, peer := range rule.To {
			if peer.IPBlock == nil || !within(peer.IPBlock.CIDR) {
				continue
			}
			allowed := true
			for _, except := range peer.IPBlock.Except {
				allowed = allowed && !within(except)
			}
			if allowed {
				return true
			}
		}
	}
	return false
}

func TestJobsReachThePublicInternetOnly(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]networkingv1.NetworkPolicySpec{
		"chart":              policy(t, example(t, "helm/executor/native"), "ci-executor-jobs"),
		"chart with more":    policy(t, example(t, "helm/executor/two-namespaces"), "ci-executor-jobs"),
		"kustomization":      policy(t, example(t, "kustomize/native"), "executor-jobs"),
		"executor with dind": policy(t, example(t, "helm/executor/dind"), "ci-executor"),
	} {
		require.Empty(t, spec.Ingress, name)
		require.ElementsMatch(t, []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}, spec.PolicyTypes, name)
		for _, address := range []string{
			"169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.254.1.1", "10.96.0.1", "172.20.0.1", "192.168.1.1", "127.0.0.1", "0.0.0.0", "224.0.0.1",
			"255.255.255.255", "fe80::1", "::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::1", "2001:0:a00:1::1",
		} {
			require.Equal(t, address == "168.254.1.1", reaches(t, spec, address), "%s: %s", name, address)
		}
		for _, address := range []string{"9.9.9.9", "172.32.0.1", "192.0.66.2", "2620:fe::9"} {
			require.True(t, reaches(t, spec, address), "%s: %s", name, address)
		}
		require.Equal(t, name != "chart with more", reaches(t, spec, "203.0.113.10"), "%s: denied by the operator", name)
		require.Equal(t, name != "chart with more", reaches(t, spec, "2001:db8::10"), "%s: denied by the operator", name)
	}
}

func TestChartAndKustomizationHaveTheSamePolicyOfJobs(t *testing.T) {
	t.Parallel()
	require.Equal(t, policy(t, example(t, "kustomize/single-namespace"), "executor-jobs"), policy(t, example(t, "helm/executor/native"), "ci-executor-jobs"))
}

func TestExecutorsReachDNSTheFrontendAndTheAPIServerOnly(t *testing.T) {
	t.Parallel()
	kustomized := policy(t, example(t, "kustomize/native"), "executor")
	charted := policy(t, example(t, "helm/executor/two-namespaces"), "ci-executor")
	for _, spec := range []networkingv1.NetworkPolicySpec{kustomized, charted} {
		require.Len(t, spec.Egress, 3)
		require.Len(t, spec.Egress[0].Ports, 2)
		for _, port := range spec.Egress[0].Ports {
			require.Equal(t, int32(53), port.Port.IntVal)
		}
		for _, rule := range spec.Egress {
			require.NotEmpty(t, rule.To)
			require.NotEmpty(t, rule.Ports)
		}
		require.Equal(t, "10.0.0.1/32", spec.Egress[2].To[0].IPBlock.CIDR)
		require.Equal(t, int32(6443), spec.Egress[2].Ports[0].Port.IntVal)
		for _, address := range []string{"169.254.169.254", "9.9.9.9", "10.0.0.2"} {
			require.False(t, reaches(t, spec, address), address)
		}
	}
	require.Equal(t, int32(443), kustomized.Egress[1].Ports[0].Port.IntVal)
	require.Equal(t, int32(7080), charted.Egress[1].Ports[0].Port.IntVal)
	require.Empty(t, kustomized.Ingress)
	require.Equal(t, "debug", charted.Ingress[0].Ports[0].Port.StrVal)
}

// The port of the frontend's address, or its scheme's.
func TestTheFrontendsPortIsThatOfItsAddress(t *testing.T) {
	t.Parallel()
	for url, port := range map[string]int32{
		"https://f.example": 443, "http://f.example/path:9/x": 80, "https://f.example:8443/path": 8443, "http://[fd00::1]:7080": 7080, "https://[fd00::1]": 443,
	} {
		json := `networkPolicy.executors={"enabled":true,"apiServer":["10.0.0.1/32"],"frontend":[{"ipBlock":{"cidr":"10.0.0.2/32"}}]},frontend.url="` + url + `"`
		objects, err := Render("executor", set(t, "executor", "", json), testNamespace)
		require.NoError(t, err)
		require.Equal(t, port, policy(t, objects, "ci-executor").Egress[1].Ports[0].Port.IntVal, url)
	}
}
