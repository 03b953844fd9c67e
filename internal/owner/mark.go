package owner

// Mark is the environment entry, NAME=value, that every child process of an executor carries (command.Runner.Mark).
func Mark(executor string) string { return "EXECUTOR_OWNER=" + executor }

// SessionMark is the environment entry that every host process of a runtime's session carries besides Mark.
func SessionMark(session string) string { return "EXECUTOR_SESSION=" + session }
