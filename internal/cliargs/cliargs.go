// Package cliargs lets flags of urfave/cli v2 programs stand behind arguments, "submit FILE --follow", where the library by itself
// only knows them in front, and global flags behind the command.
package cliargs

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// completion is the flag with which a shell asks for completions; it has to stay last, and the words before it as they are.
const completion = "--generate-bash-completion"

// Sort reorders a program's arguments, the program's name first: global flags, the command, its flags, its arguments. Arguments
// behind "--" stay arguments. Unknown flags are left for the library to refuse. Commands are one level deep.
func Sort(app *cli.App, args []string) []string {
	if len(args) < 2 || args[len(args)-1] == completion {
		return args
	}
	at := 1
	for at < len(args) && isFlag(args[at]) {
		at += width(app.Flags, args[at:])
	}
	if at >= len(args) {
		return args
	}
	command := app.Command(args[at])
	if command == nil {
		return args
	}
	global, local, rest := args[1:at:at], []string{args[at]}, []string{}
	for at++; at < len(args); {
		word := args[at]
		if word == "--" {
			rest = append(rest, args[at+1:]...)
			break
		}
		if !isFlag(word) {
			rest = append(rest, word)
			at++
			continue
		}
		if find(command.Flags, word) == nil && find(app.Flags, word) != nil {
			n := width(app.Flags, args[at:])
			global = append(global, args[at:at+n]...)
			at += n
			continue
		}
		n := width(command.Flags, args[at:])
		local = append(local, args[at:at+n]...)
		at += n
	}
	if slices.ContainsFunc(rest, isFlag) {
		local = append(local, "--")
	}
	return slices.Concat(args[:1], global, local, rest)
}

// isFlag reports whether a word is a flag; "-" alone stands for standard input.
func isFlag(word string) bool { return len(word) > 1 && word[0] == '-' }

// width is how many words the flag at the beginning of args takes.
func width(flags []cli.Flag, args []string) int {
	flag := find(flags, args[0])
	if documented, ok := flag.(cli.DocGenerationFlag); ok && documented.TakesValue() && !strings.Contains(args[0], "=") {
		return min(2, len(args))
	}
	return 1
}

func find(flags []cli.Flag, word string) cli.Flag {
	name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
	for _, flag := range flags {
		if slices.Contains(flag.Names(), name) {
			return flag
		}
	}
	return nil
}
