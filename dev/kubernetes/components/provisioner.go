package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// provisionerName is what storage classes call it; dev/lib/cluster/lifecycle.sh makes one.
const provisionerName = "cluster.test/directories"

// directories makes each volume a directory of the machine, and removes it with the claim. It is one for all nodes, and nothing holds a volume to
// the size that was asked for.
type directories struct {
	root string // an absolute path, the same on each node
}

func newProvisionerCommand() *cobra.Command {
	var kubeconfig, root string
	c := &cobra.Command{
		Use:          "provisioner",
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(c *cobra.Command, _ []string) error {
			config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
			if err != nil {
				return err
			}
			client, err := kubernetes.NewForConfig(config)
			if err != nil {
				return err
			}
			controller.NewProvisionController(c.Context(), client, provisionerName, directories{root},
				controller.LeaderElection(false)).Run(c.Context())
			return nil
		},
	}
	c.Flags().StringVar(&kubeconfig, "kubeconfig", "", "how to reach the API server")
	c.Flags().StringVar(&root, "root", "", "directory of the volumes")
	return c
}

// Provision implements controller.Provisioner.
func (d directories) Provision(_ context.Context, o controller.ProvisionOptions) (*core.PersistentVolume, controller.ProvisioningState, error) {
	dir, err := d.path(o.PVName)
	if err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	// Pods have users of their own, whom the umask must not keep out. What lies above is root's alone.
	if err := os.Chmod(dir, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	kind := core.HostPathDirectory
	return &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: o.PVName},
		Spec: core.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *o.StorageClass.ReclaimPolicy,
			AccessModes:                   o.PVC.Spec.AccessModes,
			Capacity:                      core.ResourceList{core.ResourceStorage: o.PVC.Spec.Resources.Requests[core.ResourceStorage]},
			PersistentVolumeSource:        core.PersistentVolumeSource{HostPath: &core.HostPathVolumeSource{Path: dir, Type: &kind}},
		},
	}, controller.ProvisioningFinished, nil
}

// Delete implements controller.Provisioner.
func (d directories) Delete(_ context.Context, volume *core.PersistentVolume) error {
	dir, err := d.path(volume.Name)
	if err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// path is the directory of a volume. Claims may name any class, but not what their volumes are called.
func (d directories) path(volume string) (string, error) {
	if !filepath.IsAbs(d.root) || !filepath.IsLocal(volume) || volume == "." || filepath.Base(volume) != volume {
		return "", fmt.Errorf("%q in %q is no directory for a volume: want a plain name below an absolute path", volume, d.root)
	}
	return filepath.Join(d.root, volume), nil
}
