# shellcheck shell=bash
# The root file system of the hosts: Debian with GlusterFS, LVM and XFS, built once and kept. Its
# name holds a hash of everything it is made from, so a changed recipe builds a new one beside it.

readonly ROOTFS_SUITE=bookworm
readonly ROOTFS_PACKAGES=lvm2,dmeventd,thin-provisioning-tools,xfsprogs,mdadm,fdisk,gdisk,glusterfs-server,glusterfs-client,openssh-server,udev,dmsetup,kmod,util-linux,iproute2,procps,psmisc,attr,jq

rootfs_hash() {
    {
        cat "$LAB_SOURCE/rootfs.sh" "$LAB_SOURCE/lab-init"
        # The modules inside must be those of the kernel that the machine starts.
        linux.uml --version
    } | sha256sum | cut -c1-12
}

# Prints the path; builds what is missing.
rootfs_ready() {
    local dir
    dir=$LAB_CACHE/rootfs-$(rootfs_hash)
    if [[ ! -d $dir ]]; then
        mkdir -p "$LAB_CACHE"
        (
            # Labs of several names, and of several clones with one cache, wait for one builder.
            flock 8
            [[ -d $dir ]] || rootfs_build "$dir"
        ) 8<"$LAB_CACHE" >&2
    fi
    printf '%s' "$dir"
}

rootfs_build() { # DIR
    local dir=$1 new=$1.partial log=$1.log start=$EPOCHREALTIME
    note "building the hosts' root file system (about a minute, once): $dir"
    rm -rf "$new"
    if ! mmdebstrap --variant=minbase --include="$ROOTFS_PACKAGES" "$ROOTFS_SUITE" "$new" \
        ${BRICKLAYER_LAB_MIRROR:+"$BRICKLAYER_LAB_MIRROR"} >"$log" 2>&1; then
        tail -n 30 "$log" >&2
        die "mmdebstrap could not build the root file system; its whole output is in $log"
    fi

    cp -a /usr/lib/uml/modules/. "$new/lib/modules/"
    install -m 0755 "$LAB_SOURCE/lab-init" "$new/sbin/lab-init"
    mkdir -p "$new/lab" "$new/usr/local/lib/bricklayer"
    local program
    for program in bricklayer-agent:sbin bricklayer-coordinator:sbin bricklayer:bin; do
        ln -s "/usr/local/lib/bricklayer/${program%%:*}" "$new/usr/${program##*:}/${program%%:*}"
    done

    # Geo-replication's helper: where it is installed, every start of glusterd runs some thirty
    # Python processes, 20 s of a host's time.
    rm -rf "$new/usr/lib/x86_64-linux-gnu/glusterfs/gsyncd"
    # An unanswered name server makes glusterd and sshd crawl; names come from /etc/hosts.
    : >"$new/etc/resolv.conf"
    # Each host gets its own.
    rm -f "$new"/etc/machine-id "$new"/var/lib/dbus/machine-id "$new"/etc/ssh/ssh_host_*
    ssh-keygen -q -t ed25519 -N '' -C lab -f "$new/etc/ssh/ssh_host_ed25519_key"
    cat >"$new/etc/ssh/sshd_config.d/lab.conf" <<'CONFIG'
UsePAM no
UseDNS no
PermitRootLogin prohibit-password
AuthorizedKeysFile /lab/authorized_keys
StrictModes no
MaxSessions 100
MaxStartups 100
SetEnv PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
CONFIG
    cat >"$new/etc/fstab" <<'FSTAB'
# <file system> <mount point> <type> <options> <dump> <pass>
tmpfs /tmp tmpfs mode=1777 0 0
FSTAB
    # A stray write to what all hosts share must fail, not spread: hosts mount it read-only.
    rm -rf "$new"/var/cache/apt/* "$new"/var/lib/apt/lists/* "$new"/usr/share/doc "$new"/usr/share/man
    mv "$new" "$dir"
    note "root file system built in $(seconds_since "$start") s"
}
