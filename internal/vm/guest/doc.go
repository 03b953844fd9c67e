// Package guest is the agent that runs as the first process of a microVM: it carries out what the host asks for over the channel (package
// channel). Its steps run as OCI containers by crun, from read-only drives that hold their images.
//
// Drive 0 is the guest's own root: crun, git, certificates and src. The job's drive holds the workspace and whatever steps write elsewhere.
package guest
