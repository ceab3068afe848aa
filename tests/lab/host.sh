# shellcheck shell=bash
# The hosts: making their disks, starting, ending and talking to them.

readonly HOST_MEMORY=768M
readonly SYSTEM_DISK=4G
# User-mode Linux takes eight disks; one is the system's.
readonly MOST_DISKS=7

host_dir() { printf '%s/%s' "$LAB_DIR" "$1"; }
host_record() { printf '%s/%s/process' "$LAB_DIR" "$1"; }
host_runs() { runs "$(host_record "$1")"; }

require_host() {
    local known
    for known in $HOSTS $CLIENT; do [[ $known != "$1" ]] || return 0; done
    die "no host '$1' in this lab; it has: $HOSTS $CLIENT"
}

require_running() {
    require_host "$1"
    host_runs "$1" || die "$1 does not run; start it with: lab start $1"
}

# The same disk of the same lab always has the same serial, as a disk in a drawer has.
disk_serial() { # HOST NAME
    printf '%s' "$LAB_NAME/$1/$2" | sha256sum | cut -c1-16
}

host_create() { # HOST DISKS SIZE ROLE
    local host=$1 disks=$2 size=$3 role=$4 dir letters=abcdefgh list='' i name
    dir=$(host_dir "$host")
    mkdir -p "$dir/share"
    for ((i = 0; i <= disks; i++)); do
        name=sd${letters:i:1}
        truncate -s "$([[ $i == 0 ]] && echo "$SYSTEM_DISK" || echo "$size")" "$dir/$name.img"
        list+=" $name=ubd${letters:i:1}=$(disk_serial "$host" "$name")"
    done
    mkfs.ext4 -q -F -E lazy_itable_init=1,lazy_journal_init=1 "$dir/sda.img"
    cp "$LAB_SOURCE/host-init" "$LAB_SOURCE/service" "$LAB_DIR/hosts" "$dir/share/"
    chmod +x "$dir/share/service"
    cp "$LAB_DIR/key.pub" "$dir/share/authorized_keys"
    cat >"$dir/share/host.conf" <<CONF
HOST=$host
ROLE=$role
ADDRESS=$(host_address "$host")
MGMT_ADDRESS=$(mgmt_address "$host")
MACHINE_ID=$(printf '%s' "$LAB_NAME/$host/machine" | sha256sum | cut -c1-32)
DISKS="${list# }"
CONF
    cat >"$dir/share/mounts" <<MOUNTS
devtmpfs /dev devtmpfs defaults 0 0
devpts /dev/pts devpts X-mount.mkdir,gid=5,mode=620,ptmxmode=666 0 0
tmpfs /dev/shm tmpfs X-mount.mkdir,mode=1777 0 0
sysfs /sys sysfs defaults 0 0
tmpfs /run tmpfs mode=755 0 0
tmpfs /tmp tmpfs mode=1777 0 0
none /usr/local/lib/bricklayer hostfs $LAB_DIR/programs 0 0
MOUNTS
    mkdir "$dir/share/dev"
    ln -s /proc/self/fd "$dir/share/dev/fd"
    ln -s /proc/self/fd/0 "$dir/share/dev/stdin"
    ln -s /proc/self/fd/1 "$dir/share/dev/stdout"
    ln -s /proc/self/fd/2 "$dir/share/dev/stderr"
}

host_boot() { # HOST
    local host=$1 dir image number disks=()
    dir=$(host_dir "$host")
    number=$(printf '%02x' "$(host_number "$host")")
    for image in "$dir"/sd?.img; do
        # "d": the file is the disk, whatever its first bytes look like.
        disks+=("ubd$((${#disks[@]}))d=$image")
    done
    rm -rf "$dir/share/ready" "$dir/uml"
    cd "$dir"
    spawn "$(host_record "$host")" "$dir/console.log" \
        linux.uml mem=$HOST_MEMORY root=/dev/root rootfstype=hostfs "rootflags=$ROOTFS" ro \
        init=/sbin/lab-init "lab=$dir/share" uml_dir=uml/ umid=host "${disks[@]}" \
        "vec0:transport=tap,ifname=lab$((16#$number)),depth=64,gro=1,mac=02:b1:00:00:00:$number" \
        "vec1:transport=tap,ifname=mgmt$((16#$number)),depth=64,gro=1,mac=02:b1:00:00:01:$number" \
        con=null con0=null,fd:1 quiet selinux=0
    cd "$LAB_SOURCE"
}

host_booted_or_dead() { [[ -e $(host_dir "$1")/share/ready ]] || ! host_runs "$1"; }

host_await() { # HOST
    local host=$1
    if ! wait_for 120 "$host to start" host_booted_or_dead "$host" || ! host_runs "$host"; then
        tail -n 20 "$(host_dir "$host")/console.log" >&2
        die "$host did not start; its console is in $(host_dir "$host")/console.log"
    fi
    control_up "$host"
}

host_kill() { # HOST
    kill_group "$(host_record "$1")"
    control_down "$1"
}

# `lab exec` goes through one connection per host that stays open. Its process is a recorded one:
# were it left to ssh to put it into the background, it would hold the caller's output open.
control_up() { # HOST
    local dir
    dir=$(host_dir "$1")
    ! runs "$dir/control" || return 0
    rm -f "$dir/ssh"
    cd "$dir"
    spawn "$dir/control" "$dir/control.log" ssh -M -N -S ssh "${SSH_OPTIONS[@]}" "root@$(mgmt_address "$1")"
    cd "$LAB_SOURCE"
    wait_for 20 "the control connection to $1" test -S "$dir/ssh" || die "see $dir/control.log"
}

control_down() { # HOST
    kill_group "$(host_dir "$1")/control"
    rm -f "$(host_dir "$1")/ssh"
}

host_exec() { # HOST [COMMAND...]; replaces this process
    local host=$1 words='' tty=-T
    shift
    if ! host_runs "$host"; then
        note "$host does not run; start it with: lab start $host"
        exit 255
    fi
    control_up "$host"
    if (($#)); then
        words=$(printf '%q ' "$@")
    elif [[ -t 0 ]]; then
        tty=-t
    fi
    # The relative name keeps the socket's path short enough, however deep the repository lies. The
    # proxy that fails keeps a lost socket from becoming a connection out of the machine.
    cd "$(host_dir "$host")"
    exec ssh "$tty" -S ssh -o ControlMaster=no -o ProxyCommand=false -o BatchMode=yes -o LogLevel=ERROR \
        root@host ${words:+-- "$words"}
}

ssh_options() {
    SSH_OPTIONS=(-F none -i "$LAB_DIR/key" -o IdentitiesOnly=yes -o BatchMode=yes -o LogLevel=ERROR
        -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=20)
}
