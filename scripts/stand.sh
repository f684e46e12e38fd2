# What the scripts that measure share: banks, a database and a gateway, each a process of its own. It is sourced after
# `work` (their folder), `program` and `bank` (what is measured) are set.

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }
fail() { echo "$0: $*" >&2; exit 1; }

target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
started=() postgres_runs=
# Beside the build and not in /tmp, which may be memory: a commit must reach a disk.
new_folder() { # NAME
    work=$target/$1 folder=$target/$1
    rm -rf "$folder"
    mkdir -p "$folder"
    trap stop EXIT
}
stop() {
    for pid in ${started[@]+"${started[@]}"}; do kill -TERM "$pid" 2>/dev/null || true; done
    for pid in ${started[@]+"${started[@]}"}; do wait "$pid" 2>/dev/null || true; done
    [ -z "$postgres_runs" ] || as_postgres "$pg/pg_ctl" -D "$folder/postgres" -m immediate stop >/dev/null || true
    rm -rf "$folder"
}

# PostgreSQL refuses to run as root.
as_postgres() {
    if [ "$(id -u)" = 0 ]; then runuser -u payswitch-test -- "$@"; else "$@"; fi
}
start_postgres() { # PORT [OPTIONS]
    say "Starting PostgreSQL"
    pg=$(ls -d /usr/lib/postgresql/*/bin | tail -1) pg_port=$1
    [ "$(id -u)" != 0 ] || id payswitch-test >/dev/null 2>&1 || useradd --system --no-create-home payswitch-test
    mkdir "$work/postgres"
    [ "$(id -u)" != 0 ] || chown payswitch-test "$work" "$work/postgres"
    as_postgres "$pg/initdb" -D "$work/postgres" -U payswitch -A trust >/dev/null
    postgres_runs=1
    as_postgres "$pg/pg_ctl" -D "$work/postgres" -w -l "$work/postgres/log" \
        -o "-c listen_addresses=127.0.0.1 -c port=$pg_port -c unix_socket_directories='' ${2:-}" start >/dev/null
}
# Makes a database and leaves its address in `url`.
new_database() { # NAME
    if [ -z "$postgres_runs" ]; then
        url=sqlite://$work/$1.db
        return
    fi
    as_postgres "$pg/createdb" -h 127.0.0.1 -p "$pg_port" -U payswitch "$1"
    url=postgres://payswitch@127.0.0.1:$pg_port/$1
}

# Starts a program in the background, with its log in a file, and leaves its process id in `pid`.
launch() { # NAME COMMAND...
    local name=$1
    shift
    "$@" >"$work/$name.log" 2>&1 &
    pid=$!
    started+=("$pid")
}
wait_for_file() { # FILE PID NAME
    for _ in $(seq 600); do
        [ -s "$1" ] && return
        kill -0 "$2" 2>/dev/null || break
        sleep 0.1
    done
    tail -20 "$work/$3.log" >&2 || true
    fail "$3 did not start; see above"
}

# Starts an acquirer with its issuers.
start_bank() { # NAME
    [ -d "$work/certs" ] || "$program" certs --out "$work/certs" >/dev/null
    sed "s|certs/dev/|$work/certs/|; s|127\.0\.0\.1:70[0-9]*|127.0.0.1:0|" bank-sim/bank-sim.toml >"$work/$1.toml"
    launch "bank-$1" "$bank" serve --config "$work/$1.toml" --ready-file "$work/bank-$1.json"
    wait_for_file "$work/bank-$1.json" "$pid" "bank-$1"
}
# The profile of a bank that is sent so many owed messages a second. It is a profile of this tree, or of the one named.
profile() { # FOLDER NAME PER_SECOND [TREE]
    local address
    mkdir -p "$1"
    address=$(tr -d ' \n' <"$work/bank-$2.json" | sed 's/.*"acquirer":{"address":"\([^"]*\)".*/\1/')
    sed "s|certs/dev/|$work/certs/|; s|^address = .*|address = \"$address\"|
        s/^in_flight_limit = .*/in_flight_limit = 10000/
        s/^per_second = .*/per_second = $3/; s/^window = .*/window = 500/" "${4:-.}/hosts/acquirer.toml" >"$1/$2.toml"
}
# A database and its merchants, one for each bank; the environment of its gateways.
set_up() { # URL PROFILES BANK...
    (umask 077; head -c 32 /dev/urandom | base64 >"$work/master.key")
    export PAYSWITCH_STORE__URL="$1" PAYSWITCH_HOSTS__PROFILES="$2" \
        PAYSWITCH_CARD__MASTER_KEY_FILE="$work/master.key" PAYSWITCH_CARD__SEALING_KEYS="$work/keys" \
        PAYSWITCH_CARD__JWKS_PATH="$work/jwks.json" PAYSWITCH_MERCHANT_API__LISTEN=127.0.0.1:0 \
        PAYSWITCH_MERCHANT_API__CERTIFICATE="$work/certs/gateway.pem" \
        PAYSWITCH_MERCHANT_API__PRIVATE_KEY="$work/certs/gateway.key" \
        PAYSWITCH_MERCHANT_API__CONCURRENT_CALLS=30000
    shift 2
    "$program" migrate >/dev/null 2>&1
    local name
    for name in "$@"; do add_merchant "$name" "$name"; done
}
add_merchant() { # NAME BANK
    "$program" merchant add "$1" --name "$1" --city Berlin --country DE --country-numeric 276 --mcc 5732 \
        --terminal "WEB$(printf '%-5s' "$1" | tr ' ' 0)" --acceptor "$1" --acquirer "$2" >/dev/null
    "$program" merchant key "$1" >"$work/key-$1"
}
start_gateway() { # NAME PROFILES: leaves its process id in `pid`
    local settings=("PAYSWITCH_HOSTS__PROFILES=$2")
    # All pay with the same few cards. An older program has no limits on how often, and knows no such setting.
    ! "$program" doctor --help >/dev/null 2>&1 || settings+=("PAYSWITCH_RISK__LIMITS=[]")
    launch "$1" env "${settings[@]}" "$program" serve --ready-file "$work/$1.json"
    wait_for_file "$work/$1.json" "$pid" "$1"
}
load() { # GATEWAY MERCHANT OPTION...: prints its figures as JSON
    local gateway=$1 merchant=$2
    shift 2
    PAYSWITCH_API_KEY=$(cat "$work/key-$merchant") "$program" load --ready-file "$work/$gateway.json" \
        --merchant "$merchant" --ca "$work/certs/gateway-ca.pem" --json "$@" 2>"$work/load-$merchant.log"
}

# A number in a line of JSON: the first after its name.
number() { sed "s/\"followed_by\".*//; s/.*\"$1\":\([0-9.]*\).*/\1/" <<<"$2"; }
calc() { awk "BEGIN { printf \"$1\", $2 }"; }
# The machine and the engine, for the first line of what is printed.
machine() {
    local cpu engine="SQLite in WAL, synchronous=FULL"
    cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)
    [ -z "$postgres_runs" ] || engine="$("$pg/postgres" --version)"
    echo "${cpu:-unknown CPU}, $(nproc) cores, $(uname -sr); $engine"
}
