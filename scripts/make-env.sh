#!/bin/sh
# Writes .env with fresh secrets for docker-compose.yml. `npm start` takes the credentials of IDWise from it too.
set -euf
cd "$(dirname "$0")/.."
if [ -e .env ]; then
  echo '.env exists already and stays as it is; add what is missing by hand, or move it away first.' >&2
  exit 1
fi

# Hexadecimal, so that it can stand in a URL.
secret() {
  od -An -v -N24 -tx1 /dev/urandom | tr -d ' \n'
}

umask 077
set -C # never write over a file, not even one made this moment
cat >.env <<END
# Secrets of this installation: keep this file private and back it up.
POSTGRES_PASSWORD=$(secret)
REDIS_PASSWORD=$(secret)

# What IDWise must send with each webhook, one or more separated by blanks: basic:USER:PASSWORD, bearer:TOKEN or
# header:NAME:VALUE. Reserved characters, and any of \$ # ' ", are percent-encoded.
IDWISE_LIVE_CREDENTIALS=bearer:$(secret)
IDWISE_SANDBOX_CREDENTIALS=bearer:$(secret)

# Who may sign in to the console: operator:USER:SECRET or viewer:USER:SECRET, separated by blanks.
CONSOLE_CREDENTIALS=operator:operator:$(secret)
END
echo 'Wrote .env with fresh secrets.'
