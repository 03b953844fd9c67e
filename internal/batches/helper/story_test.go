package helper

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/batches"
)

// Steps 1 and 3 (counted from 1) mount the same files, which the reference deletes after the first.
func TestThreeStepsOfWhichTwoMount(t *testing.T) {
	t.Parallel()
	mounts := filepath.ToSlash(t.TempDir())
	b := newBench(t, strings.ReplaceAll(`{"BatchChangeAttributes":{"name":"change"},"repository":{"id":"1","name":"r"},"searchResultPaths":["README"],"steps":[
		{"run":"sh MOUNTS/one ${{ repository.search_result_paths }}; echo told; echo oops >&2","mount":[{"path":"./tool.sh","mountpoint":"MOUNTS/one"}],
			"outputs":{"heard":{"value":"${{ step.stdout }}"},"tree":{"value":"{\"a\":[1]} and more","format":"json"}}},
		{"run":"cat MOUNTS/file; printf '%s' \"$WHO\" > new","env":[{"WHO":"${{ batch_change.name }}"}],
			"files":{"MOUNTS/file":"${{ previous_step.stdout }}${{ join steps.modified_files \" \" }}${{ index outputs.tree.a 0 }}"}},
		{"run":"sh MOUNTS/three/tool.sh new","mount":[{"path":".","mountpoint":"MOUNTS/three"}],
			"outputs":{"last":{"value":"list: [${{ join step.added_files \",\" }}]","format":"yaml"}}}]}`, "MOUNTS", mounts))
	b.put("workspace-files/tool.sh", "echo changed >> $1\n")
	b.put("workspace-files/deep/other", "x")

	b.story(0)
	require.Equal(t, "changed\n", strings.TrimPrefix(b.get("repository/README"), "hello\n"))
	first := b.result(0)
	require.Equal(t, batches.Result{
		ChangedFiles: batches.Changes{Modified: []string{"README"}, Added: []string{}, Deleted: []string{}, Renamed: []string{}},
		Stdout:       "told\n", Stderr: "oops\n", StepIndex: 0,
		Diff:    first.Diff,
		Outputs: map[string]any{"heard": "told\n", "tree": map[string]any{"a": []any{1.0}}},
	}, first)
	require.True(t, strings.HasPrefix(string(first.Diff), "diff --git README README\n"), string(first.Diff))
	require.FileExists(t, filepath.Join(b.dir, "workspace-files/tool.sh"))

	b.story(1)
	require.Equal(t, "told\nREADME1", b.result(1).Stdout)
	require.Equal(t, "change", b.get("repository/new"))
	require.Equal(t, first.Outputs, b.result(1).Outputs)
	require.NoDirExists(t, filepath.Join(b.dir, "step1files"))
	require.FileExists(t, filepath.Join(b.dir, "workspace-files/tool.sh"))

	b.story(2)
	require.Equal(t, "changechanged\n", b.get("repository/new"))
	require.Equal(t, map[string]any{"list": []any{"new"}}, b.result(2).Outputs["last"])
	require.NoDirExists(t, filepath.Join(b.dir, "workspace-files"))

	require.Equal(t, []string{
		"TASK_STEP STARTED 1", "TASK_STEP SUCCESS 0", "CACHE_AFTER_STEP_RESULT SUCCESS",
		"TASK_STEP STARTED 2", "TASK_STEP SUCCESS 1", "CACHE_AFTER_STEP_RESULT SUCCESS",
		"TASK_STEP STARTED 3", "TASK_STEP SUCCESS 2", "CACHE_AFTER_STEP_RESULT SUCCESS",
	}, b.told())
}

// Step 2 is skipped by its own condition, step 3 the server had left out before: the executor goes on with the fourth.
func TestSkipping(t *testing.T) {
	t.Parallel()
	b := newBench(t, `{"repository":{"name":"r"},"steps":[{"run":"echo hi"},
		{"run":"exit 1","if":"${{ eq previous_step.stdout \"nothing\" }}","mount":[{"path":"f","mountpoint":"/f"}]},
		{"run":"exit 1"},{"run":"printf '${{ previous_step.stdout }}'","if":true},{"run":"exit 1","if":false}],"skippedSteps":{"2":{}}}`)
	b.put("workspace-files/f", "x")
	b.story(0)
	require.NoFileExists(t, filepath.Join(b.dir, "skip.json"))

	require.NoError(t, b.Pre(1))
	require.JSONEq(t, `{"nextStep":"step.3.pre"}`, b.get("skip.json"))
	require.NoFileExists(t, filepath.Join(b.dir, "step1.sh"))
	require.True(t, b.result(1).Skipped)
	require.FileExists(t, filepath.Join(b.dir, "workspace-files/f"), "the next step's cache key needs it")

	b.story(3) // where skip.json is still there
	require.NoFileExists(t, filepath.Join(b.dir, "skip.json"))
	require.Equal(t, "hi\n", b.result(3).Stdout, "the previous step is the last that ran")

	require.NoError(t, b.Pre(4))
	require.JSONEq(t, `{"nextStep":"step.5.pre"}`, b.get("skip.json"), "none has this key: the rest is skipped")
	require.NoDirExists(t, filepath.Join(b.dir, "workspace-files"))
	require.Equal(t, []string{
		"TASK_STEP STARTED 1", "TASK_STEP SUCCESS 0", "CACHE_AFTER_STEP_RESULT SUCCESS", "TASK_STEP_SKIPPED PROGRESS 2",
		"TASK_STEP STARTED 4", "TASK_STEP SUCCESS 3", "CACHE_AFTER_STEP_RESULT SUCCESS", "TASK_STEP_SKIPPED PROGRESS 5",
	}, b.told())
}

func TestWorkspaceFilesThatNobodyMountsGoAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, `{"steps":[{"run":"true"},{"run":"true"}]}`)
	b.put("workspace-files/f", "x")
	b.story(0)
	require.NoDirExists(t, filepath.Join(b.dir, "workspace-files"))
	b.story(1)
	outside := t.TempDir()
	b.WorkspaceFiles = outside
	b.story(1)
	require.DirExists(t, outside, "what lies outside of the workspace isn't the helper's to delete")
}
