"""Names the Go toolchain that Gazelle's repository rules run: offline the machine's own, where rules_go would download one."""

HOST_COMPATIBLE_SDK = Label("@@rules_go~~go_sdk~main___host_0//:ROOT")
