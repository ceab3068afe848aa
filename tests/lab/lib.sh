# shellcheck shell=bash
# What every part of the lab shares: where things lie, how it speaks, how it waits, and how it starts
# and ends processes. Sourced by `lab`; defines functions and constants only.
#
# Layout, all of it below target/lab:
#   rootfs-<hash>/            the hosts' root file system, read-only to them (rootfs.sh)
#   <lab name>/lab.conf       what this lab consists of
#   <lab name>/programs/      copies of the Bricklayer programs that its hosts run
#   <lab name>/coordinator/   data directory of its coordinator
#   <lab name>/<host>/        disks, console, process record; share/ is what the host sees as /lab

LAB_SOURCE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
REPO=$(cd -- "$LAB_SOURCE/../.." && pwd)
LAB_NAME=${LAB_NAME:-lab}
LAB_TARGET=$REPO/target/lab
LAB_DIR=$LAB_TARGET/$LAB_NAME
LAB_CACHE=${BRICKLAYER_LAB_CACHE:-$LAB_TARGET}
NETNS=bricklayer-$LAB_NAME

readonly LAB_SOURCE REPO LAB_NAME LAB_TARGET LAB_DIR LAB_CACHE NETNS

say() { printf '%s\n' "$*"; }
note() { printf 'lab: %s\n' "$*" >&2; }
die() {
    printf 'lab: %s\n' "$*" >&2
    exit 1
}

require_root() {
    [[ $EUID == 0 ]] || die "needs root: it makes a network namespace and tap devices; run it with sudo"
}

check_names() {
    [[ $LAB_NAME =~ ^[a-z0-9][a-z0-9-]{0,30}$ ]] ||
        die "LAB_NAME '$LAB_NAME' must be 1 to 31 lower-case letters, digits and dashes"
    # These paths become words of a kernel command line.
    [[ $LAB_DIR$LAB_CACHE =~ ^[A-Za-z0-9/_.+-]+$ ]] ||
        die "the paths $LAB_DIR and $LAB_CACHE must hold nothing but letters, digits and / _ . + -"
}

# One command changes a lab at a time. The lock is the directory's, so it needs no file of its own
# and is free again when the holder dies.
lock_lab() {
    mkdir -p "$LAB_DIR"
    exec 9<"$LAB_DIR"
    flock --nonblock 9 || {
        note "another command is changing this lab; waiting for it"
        flock 9
    }
}

# Tools of the machine: command, then the package of Debian and Ubuntu that brings it.
readonly TOOLS="linux.uml:user-mode-linux mmdebstrap:mmdebstrap ip:iproute2 ssh:openssh-client
    ssh-keygen:openssh-client mkfs.ext4:e2fsprogs nsenter:util-linux flock:util-linux setsid:util-linux"

require_tools() {
    local pair missing=()
    for pair in $TOOLS; do
        command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
    done
    # mmdebstrap on Ubuntu trusts no Debian mirror without it.
    [[ -e /usr/share/keyrings/debian-archive-keyring.gpg ]] || missing+=(debian-archive-keyring)
    ((${#missing[@]})) || return 0
    command -v apt-get >/dev/null ||
        die "missing: ${missing[*]} (names of Debian packages); this machine has no apt-get to install them with"
    note "installing ${missing[*]}"
    local log
    log=$(mktemp)
    if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } \
        >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        die "apt-get could not install ${missing[*]}"
    fi
    rm -f "$log"
}

require_tun() {
    [[ -c /dev/net/tun ]] || die "/dev/net/tun is missing: load the kernel module 'tun' (modprobe tun)"
}

# wait_for SECONDS DESCRIPTION COMMAND...: polls until the command succeeds.
wait_for() {
    local limit=$1 what=$2 end
    shift 2
    end=$((${EPOCHREALTIME/./} + limit * 1000000))
    until "$@"; do
        ((${EPOCHREALTIME/./} < end)) || {
            note "gave up after $limit s waiting for $what"
            return 1
        }
        # A pause that starts no process.
        read -r -t 0.03 <><(:) || true
    done
}

seconds_since() { # EPOCHREALTIME of the start
    local micros=$((${EPOCHREALTIME/./} - ${1/./}))
    printf '%d.%02d' $((micros / 1000000)) $((micros % 1000000 / 10000))
}

# Processes ------------------------------------------------------------------------------------
#
# Each is started as the leader of a session of its own, inside the lab's network namespace, and is
# recorded before it becomes the program: a script that dies half-way leaves nothing unrecorded.
# The record is the process's own line of /proc/PID/stat; id and start time together tell it from a
# later process that was given the same id.

spawn() { # RECORD LOG COMMAND...
    local record=$1 log=$2
    shift 2
    rm -f "$record"
    # shellcheck disable=SC2016 # expanded by the inner shell
    nsenter --net="/run/netns/$NETNS" setsid bash -c '
        read -r stat </proc/$$/stat
        printf "%s\n" "$stat" >"$1"
        shift
        exec "$@"' spawn "$record" "$@" </dev/null >>"$log" 2>&1 9<&- &
    disown
    wait_for 5 "the process record $record" test -s "$record"
}

stat_field() { # NUMBER LINE; fields as proc(5) counts them, from the third on
    local words
    # The second field, the name, is in parentheses and may hold anything.
    read -r -a words <<<"${2##*) }"
    printf '%s' "${words[$1 - 3]}"
}

# Prints the id of a recorded process if it lives. A zombie has ended.
recorded() { # RECORD
    local then now pid
    { read -r then <"$1"; } 2>/dev/null || return 1
    pid=${then%% *}
    { read -r now <"/proc/$pid/stat"; } 2>/dev/null || return 1
    [[ $(stat_field 3 "$now") != Z && $(stat_field 22 "$now") == "$(stat_field 22 "$then")" ]] || return 1
    printf '%s' "$pid"
}

runs() { recorded "$1" >/dev/null; }
ended() { ! runs "$1"; }

# Living processes of the lab's network namespace, as "PID PGID".
lab_processes() {
    local pid stat
    [[ -e /run/netns/$NETNS ]] || return 0
    for pid in $(ip netns pids "$NETNS" 2>/dev/null); do
        { read -r stat <"/proc/$pid/stat"; } 2>/dev/null || continue
        [[ $(stat_field 3 "$stat") == Z ]] || printf '%s %s\n' "$pid" "$(stat_field 5 "$stat")"
    done
}

group_gone() { # PGID
    local pid group
    while read -r pid group; do
        [[ $group != "$1" ]] || return 1
    done < <(lab_processes)
}

# Ends a recorded process and all it started, at once: one signal to the group. User-mode Linux is
# several processes, and its input/output helpers outlive a main process that is killed alone.
kill_group() { # RECORD
    local line leader
    { read -r line <"$1"; } 2>/dev/null || return 0
    leader=${line%% *}
    # In the lab's namespace there are only processes that the lab started, so the group is ours
    # even if its leader is dead and the record can no longer be compared.
    if ! group_gone "$leader"; then
        kill -KILL -- "-$leader" 2>/dev/null || true
        wait_for 10 "the processes of $1 to end" group_gone "$leader"
    fi
    rm -f "$1"
}
