// Command components is a whole Kubernetes in one program: its first argument says which part of it to be. The parts share most of their
// packages, so that one link and one file stand for eight.
//
//	components etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kubelet|kube-proxy|coredns|provisioner [FLAG…]
//
// dev/cluster builds and starts it, for tests only.
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/hosts"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// parts run until a signal ends them and return the exit code.
var parts = map[string]func() int{
	"etcd":                    func() int { etcdmain.Main(os.Args); return 0 },
	"coredns":                 func() int { coremain.Run(); return 0 },
	"kube-apiserver":          func() int { return command(apiserver.NewAPIServerCommand()) },
	"kube-controller-manager": func() int { return command(controllers.NewControllerManagerCommand()) },
	"kube-scheduler":          func() int { return command(scheduler.NewSchedulerCommand()) },
	"kube-proxy":              func() int { return command(proxy.NewProxyCommand()) },
	"kubelet":                 func() int { return command(kubelet.NewKubeletCommand(context.Background())) },
	"provisioner":             func() int { return command(newProvisionerCommand()) },
}

func command(c *cobra.Command) int { return cli.Run(c) }

func main() {
	if len(os.Args) > 1 {
		if part, known := parts[os.Args[1]]; known {
			// Each reads os.Args as if it were a program of its own.
			os.Args = os.Args[1:]
			os.Exit(part())
		}
	}
	fmt.Fprintf(os.Stderr, "usage: components %s [FLAG…]\n", strings.Join(slices.Sorted(maps.Keys(parts)), "|"))
	os.Exit(2)
}
