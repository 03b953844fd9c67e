package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

// Both scripts ask execctl itself what can follow; where it knows nothing, as behind submit, files are offered.
var completions = map[string]string{
	"bash": `_execctl() {
    local words=("${COMP_WORDS[@]:0:COMP_CWORD}") word="${COMP_WORDS[COMP_CWORD]}"
    if [[ "$word" == -* ]]; then
        words+=("$word")
    fi
    COMPREPLY=($(compgen -W "$("${words[@]}" --generate-bash-completion 2>/dev/null)" -- "$word"))
}
complete -o bashdefault -o default -F _execctl execctl
`,
	"zsh": `#compdef execctl
_execctl() {
    local -a asked found
    asked=("${(@)words[1,CURRENT-1]}")
    if [[ "${words[CURRENT]}" == -* ]]; then
        asked+=("${words[CURRENT]}")
    fi
    found=("${(@f)$("${asked[@]}" --generate-bash-completion 2>/dev/null)}")
    if [[ -n "${found[1]}" ]]; then
        _describe execctl found
    else
        _files
    fi
}
compdef _execctl execctl
`,
}

func completionCommand(w world) *cli.Command {
	return &cli.Command{
		Name:        "completion",
		Usage:       "print a completion script for bash or zsh",
		ArgsUsage:   "bash|zsh",
		Description: "Put into ~/.bashrc:  source <(execctl completion bash)\nor into ~/.zshrc:   source <(execctl completion zsh)",
		Action: func(c *cli.Context) error {
			script, ok := completions[c.Args().First()]
			if !ok || c.NArg() != 1 {
				return usageError{fmt.Errorf("completion wants bash or zsh")}
			}
			_, err := io.WriteString(w.stdout, script)
			return err
		},
	}
}

// complete prints what can follow: flags where one was begun, else the words.
func (w world) complete(flags []cli.Flag, words ...string) cli.BashCompleteFunc {
	return func(*cli.Context) {
		// The last argument is the library's own flag.
		if begun := w.args[max(0, len(w.args)-2)]; strings.HasPrefix(begun, "-") {
			words = nil
			for _, flag := range flags {
				words = append(words, "--"+flag.Names()[0])
			}
		}
		for _, word := range words {
			fmt.Fprintln(w.stdout, word)
		}
	}
}
