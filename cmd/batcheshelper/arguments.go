package main

import (
	"fmt"
	"strconv"
	"strings"
)

const usage = `usage: batcheshelper pre|post STEP [options]
  pre STEP    decides whether the step runs, and writes its script, stepSTEP.sh, or skip.json
  post STEP   records what the step did in stepSTEP.json

STEP counts from 0. The workspace is the working directory. Options, before or after the words, as -name VALUE or -name=VALUE:
  -input FILE             the input of the execution (input.json)
  -previousStepPath DIR   where earlier steps left their results (the working directory)
  -workspaceFiles DIR     the files that steps may mount (workspace-files)
EXECUTOR_ADD_SAFE=false keeps git from working in a repository that belongs to another user.
`

// arguments are the command line's, with its defaults.
type arguments struct {
	mode           string
	step           int
	input          string
	previousDir    string
	workspaceFiles string
	help           bool
}

// parse reads the words behind the program's name. Every word that begins with "-" is an option, and has its value behind "=" or in the
// next word, whatever that begins with.
func parse(words []string) (arguments, error) {
	args := arguments{input: "input.json", workspaceFiles: "workspace-files"}
	options := map[string]*string{"input": &args.input, "previousStepPath": &args.previousDir, "workspaceFiles": &args.workspaceFiles}
	var positional []string
	for i := 0; i < len(words); i++ {
		if !strings.HasPrefix(words[i], "-") {
			positional = append(positional, words[i])
			continue
		}
		name, value, inline := strings.Cut(strings.TrimPrefix(words[i][1:], "-"), "=")
		if name == "h" || name == "help" {
			return arguments{help: true}, nil
		}
		option := options[name]
		if option == nil {
			return arguments{}, fmt.Errorf("there is no option %q: see batcheshelper -help", words[i])
		}
		if !inline {
			if i++; i == len(words) {
				return arguments{}, fmt.Errorf("option -%s has no value: write -%[1]s VALUE or -%[1]s=VALUE", name)
			}
			value = words[i]
		}
		if value == "" && option != &args.previousDir {
			return arguments{}, fmt.Errorf("option -%s has an empty value: give a path, or leave the option out", name)
		}
		*option = value
	}
	if len(positional) < 2 {
		return arguments{}, fmt.Errorf("missing arguments: want pre or post and a step, got %q", positional)
	}
	if len(positional) > 2 {
		return arguments{}, fmt.Errorf("too many arguments: want pre or post and a step, got %q", positional)
	}
	args.mode = positional[0]
	if args.mode != "pre" && args.mode != "post" {
		return arguments{}, fmt.Errorf("invalid mode %q: want pre or post", args.mode)
	}
	step, err := strconv.ParseUint(positional[1], 10, 31)
	if err != nil {
		return arguments{}, fmt.Errorf("failed to parse step: %w: want its index, counted from 0", err)
	}
	args.step = int(step)
	return args, nil
}
