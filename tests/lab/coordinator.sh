# shellcheck shell=bash
# The coordinator of the lab and the enrolment of its agents. It runs on the machine, inside the
# lab's network namespace.

readonly REST_PORT=8080 AGENTS_PORT=24010
readonly COORDINATOR_DATA=$LAB_DIR/coordinator COORDINATOR_RECORD=$LAB_DIR/coordinator.process
readonly COORDINATOR_LOG=$LAB_DIR/coordinator.log

program() { printf '%s/programs/%s' "$LAB_DIR" "$1"; }

readonly PROGRAMS="bricklayer-coordinator bricklayer-agent bricklayer"

programs_from() { printf '%s' "${BRICKLAYER_BIN:-$REPO/target/release}"; }

require_programs() {
    local name
    for name in $PROGRAMS; do
        [[ -x $(programs_from)/$name ]] ||
            die "$(programs_from)/$name is missing: build it (cargo build --release), set BRICKLAYER_BIN to where it is, or ask for hosts without it (lab up --bare)"
    done
}

# Copies: a build that replaces a program must not change it under a running test.
programs_copy() {
    local name
    for name in $PROGRAMS; do cp --reflink=auto "$(programs_from)/$name" "$LAB_DIR/programs/"; done
    ln -sf bricklayer "$LAB_DIR/programs/heketi-cli"
}

coordinator_init() {
    "$(program bricklayer-coordinator)" init --data-dir "$COORDINATOR_DATA" >"$LAB_DIR/coordinator-init.txt"
}

coordinator_start() {
    ! runs "$COORDINATOR_RECORD" || die "the coordinator runs already"
    local auth=()
    [[ $AUTH == yes ]] || auth=(--disable-auth)
    spawn "$COORDINATOR_RECORD" "$COORDINATOR_LOG" "$(program bricklayer-coordinator)" run \
        --data-dir "$COORDINATOR_DATA" --rest-listen "$COORDINATOR_ADDRESS:$REST_PORT" \
        --agents-listen "$COORDINATOR_ADDRESS:$AGENTS_PORT" \
        --advertise "$COORDINATOR_ADDRESS:$AGENTS_PORT" "${auth[@]}"
    wait_for 30 "the coordinator" coordinator_answers_or_ended
    if ended "$COORDINATOR_RECORD"; then
        tail -n 20 "$COORDINATOR_LOG" >&2
        die "the coordinator ended; its output is in $COORDINATOR_LOG"
    fi
}

coordinator_answers_or_ended() {
    answers "$COORDINATOR_ADDRESS" "$REST_PORT" || ended "$COORDINATOR_RECORD"
}

coordinator_stop() {
    local pid
    pid=$(recorded "$COORDINATOR_RECORD") || die "the coordinator does not run"
    kill -TERM "$pid"
    wait_for 30 "the coordinator to end" ended "$COORDINATOR_RECORD"
    rm -f "$COORDINATOR_RECORD"
}

coordinator_kill() {
    runs "$COORDINATOR_RECORD" || die "the coordinator does not run"
    kill_group "$COORDINATOR_RECORD"
}

# NAME=VALUE, one a line.
client_variables() {
    local key= name
    [[ $AUTH != yes ]] || key=$(<"$COORDINATOR_DATA/keys/admin.key")
    say "LAB_NAME=$LAB_NAME"
    say "LAB_NETNS=$NETNS"
    say "LAB_DIR=$LAB_DIR"
    say "LAB_REST=http://$COORDINATOR_ADDRESS:$REST_PORT"
    for name in HEKETI_CLI BRICKLAYER; do
        say "${name}_SERVER=http://$COORDINATOR_ADDRESS:$REST_PORT"
        say "${name}_USER=admin"
        say "${name}_KEY=$key"
    done
}

cli() {
    local variables
    mapfile -t variables < <(client_variables)
    inside_network env "${variables[@]}" "$(program bricklayer)" "$@"
}

enrol() { # HOST
    local host=$1 token
    token=$(cli agent invite "$host" 2>"$(host_dir "$host")/invite.txt") || {
        cat "$(host_dir "$host")/invite.txt" >&2
        die "no invitation for $host"
    }
    (host_exec "$host" sh -c "bricklayer-agent enroll '$token' && /lab/service start agent") \
        >"$(host_dir "$host")/enroll.txt" 2>&1 </dev/null || {
        cat "$(host_dir "$host")/enroll.txt" >&2
        die "$host could not enrol"
    }
}

agent_is_attached() { # HOST
    # The two fields stand side by side in what it prints, so no JSON tool is needed on the machine.
    cli agent list --json 2>/dev/null | tr -d ' \n' | grep -Fq "\"name\":\"$1\",\"state\":\"attached\""
}

await_agent() { # HOST
    wait_for 60 "the agent of $1" agent_is_attached "$1" ||
        die "the coordinator does not see the agent of $1; see: lab exec $1 -- cat /var/log/bricklayer-agent.log"
}
