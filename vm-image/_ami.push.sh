#!/usr/bin/env bash
# Will be how the executor's machine image is published. Until its template is here it says so, and touches nothing.
set -euo pipefail
echo "the executor's machine image can't be published yet: its Packer template is still to come; nothing was touched" >&2
exit 1
