//go:build shell

package executorconfig

func init() { shellBuild = true }
