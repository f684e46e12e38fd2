# What the scripts that measure share: banks, a database and a gateway, each a process of its own. It is sourced after
# `work` (their folder), `program` and `bank` (what is measured) are set.

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }
fail() { echo "$0: $*" >&2; exit 1; }

target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
started=() clusters=() postgres_runs=
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
    for cluster in ${clusters[@]+"${clusters[@]}"}; do
        as_postgres "$pg/pg_ctl" -D "$cluster" -m immediate stop >/dev/null 2>&1 || true
    done
    rm -rf "$folder"
    started=() clusters=() postgres_runs=
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
    serve_cluster postgres "$pg_port" "${2:-}"
}
serve_cluster() { # NAME PORT [OPTIONS]
    clusters+=("$work/$1")
    as_postgres "$pg/pg_ctl" -D "$work/$1" -w -l "$work/$1/log" \
        -o "-c listen_addresses=127.0.0.1 -c port=$2 -c unix_socket_directories='' ${3:-}" start >/dev/null
}
sql() { # DATABASE STATEMENT: prints what it answers, without a frame
    as_postgres "$pg/psql" -h 127.0.0.1 -p "$pg_port" -U payswitch -tAq "$1" -c "$2"
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

bank_config() { sed "s|certs/dev/|$work/certs/|; s|127\.0\.0\.1:70[0-9]*|127.0.0.1:0|" bank-sim/bank-sim.toml; }
# Starts an acquirer with its issuers, or what its file says if it has one.
start_bank() { # NAME
    [ -d "$work/certs" ] || "$program" certs --out "$work/certs" >/dev/null
    [ -e "$work/$1.toml" ] || bank_config >"$work/$1.toml"
    rm -f "$work/bank-$1.json"
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
    [ -n "${PAYSWITCH_RISK__LIMITS:-}" ] || ! "$program" doctor --help >/dev/null 2>&1 ||
        settings+=("PAYSWITCH_RISK__LIMITS=[]")
    launch "$1" env "${settings[@]}" "$program" serve --ready-file "$work/$1.json"
    wait_for_file "$work/$1.json" "$pid" "$1"
}
load() { # GATEWAY MERCHANT OPTION...: prints its figures as JSON
    local gateway=$1 merchant=$2
    shift 2
    PAYSWITCH_API_KEY=$(cat "$work/key-$merchant") "$program" load --ready-file "$work/$gateway.json" \
        --merchant "$merchant" --ca "$work/certs/gateway-ca.pem" --json "$@" 2>"$work/load-$merchant.log"
}

ask() { # BANK COMMAND...
    local name=$1
    shift
    "$bank" "$@" --ready-file "$work/bank-$name.json" --json
}
# Makes a bank's host misbehave.
fault() { ask "$1" fault "${@:2}" --host acquirer >/dev/null; } # BANK WHAT...
# Starts a client of benches/attacks/, which does its part until it is told to stop, in place of this shell.
client() { # SERVER MERCHANT ATTACK
    local ca=$work/bare-ca.pem
    [ "$1" = bare ] || ca=$work/certs/gateway-ca.pem
    PAYSWITCH_API_KEY=$(cat "$work/key-$2") exec "$attacks" "$3" --address "$(address "$1")" --ca "$ca" \
        --sealed "$work/sealed"
}
# A card for an order, which can be paid with it once.
seal_once() { # MERCHANT
    "$program" seal --jwks "$work/jwks.json" --merchant "$1" --order replayed-order --amount-minor 1250 \
        --card pm_test_visa >"$work/sealed"
}
# Where a program listens, by its ready file.
address() { tr -d '\n' <"$work/$1.json" | sed 's/.*"\(merchant_api\|address\)" *: *"\([^"]*\)".*/\2/'; }

# The database takes nothing for a while.
stand_still() { # SECONDS
    if [ -z "$postgres_runs" ]; then
        python3 -c '
import sqlite3, sys, time
database = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
database.execute("BEGIN IMMEDIATE")
time.sleep(float(sys.argv[2]))
database.execute("ROLLBACK")' "${url#sqlite://}" "$1"
    else
        local server all
        server=$(head -1 "$work/postgres/postmaster.pid")
        kill -STOP "$server"
        all=$(ps -o pid= --ppid "$server")
        kill -STOP $all
        sleep "$1"
        kill -CONT $all "$server"
    fi
}
# Copies a payment of a merchant many times.
fill() { # MERCHANT COUNT
    local statement one=100000 from database=${url##*/}
    load gateway "$1" --rate 10 --duration 1s --warm-up 0 >/dev/null
    say "Adding $2 payments"
    for from in $(seq 0 $one $(($2 - 1))); do
        statement="WITH RECURSIVE numbers (n) AS (SELECT $from UNION ALL SELECT n + 1 FROM numbers WHERE n < $from + $one - 1)
            INSERT INTO payments (id, merchant_id, merchant_reference, operation_id, amount_minor, currency,
                authorized_minor, authorized_pending_minor, captured_minor, captured_pending_minor, refunded_minor,
                refunded_pending_minor, disputed_minor, state, created_at_ms, updated_at_ms, version, state_detail, detail)
            SELECT 'pay_' || n, merchant_id, 'filled-' || n, 'op_' || n, amount_minor, currency, authorized_minor, 0, 0, 0,
                0, 0, 0, state, created_at_ms + n, updated_at_ms, version, state_detail, detail
            FROM numbers, (SELECT * FROM payments WHERE merchant_id = '$1' AND state = 'AUTHORIZED' LIMIT 1) one"
        if [ -n "$postgres_runs" ]; then
            sql "$database" "$statement"
        else
            python3 -c 'import sqlite3, sys
with sqlite3.connect(sys.argv[1], timeout=30) as database: database.execute(sys.argv[2])' "${url#sqlite://}" "$statement"
        fi
    done
}

# Of the figures of `payswitch load`, and of benches/attacks/, which has the same names:
p99_ms() { sed 's/.*"total_us":{[^}]*"p99":\([0-9]*\).*/\1/' <<<"$1" | awk '{ printf "%.2f", $1 / 1000 }'; }
state() { sed -n "s/.*\"states\":{[^}]*\"$1\":\([0-9]*\).*/\1/p" <<<"$2"; }
# All that did not end as it should.
failures() { echo $(($(number errors "$1") + $(number not_made "$1") + $(state DECLINED "$1") + $(state AUTHORIZING "$1") + 0)); }
# The commonest states and errors.
told() {
    python3 -c '
import json, sys
told = json.loads(sys.argv[1])
told = {**told["states"], **told.get("error_reasons", {})}
print(" ".join(f"{name}:{count}" for name, count in sorted(told.items(), key=lambda it: -it[1])[:4]))' "$1"
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
