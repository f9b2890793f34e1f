# One image for every app; the command says which: `node apps/ingest/src/main.ts`, `node apps/worker/src/main.ts`, `sluice …`.

FROM node:24-slim AS install
WORKDIR /sluice
COPY package.json pnpm-lock.yaml pnpm-workspace.yaml ./
COPY scripts/pnpm scripts/pnpm
COPY apps/cli/package.json apps/cli/
COPY apps/console/package.json apps/console/
COPY apps/ingest/package.json apps/ingest/
COPY apps/worker/package.json apps/worker/
COPY apps/scheduler/package.json apps/scheduler/
COPY packages/embedded/package.json packages/embedded/
COPY packages/shared/package.json packages/shared/
COPY packages/simulator/package.json packages/simulator/
# The optional dependencies are the embedded Postgres, which only `sluice start` runs, and native code that makes
# reading msgpack faster, which nothing here does.
# pnpm itself is compared with the hash in scripts/pnpm, everything else with those in pnpm-lock.yaml.
RUN npm ci --prefix scripts/pnpm --ignore-scripts --no-audit --no-fund \
    && node scripts/pnpm/node_modules/pnpm/bin/pnpm.cjs install --prod --no-optional --frozen-lockfile \
    --filter @sluice/cli... --filter @sluice/ingest... --filter @sluice/worker... --filter @sluice/console... \
    && rm -rf scripts

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /sluice
RUN printf '#!/bin/sh\nexec node /sluice/apps/cli/src/main.ts "$@"\n' >/usr/local/bin/sluice \
    && chmod 755 /usr/local/bin/sluice
# The dependencies are a layer of their own. pnpm's links stay as they are: Node.js strips types only outside
# node_modules, and a link to a workspace package leads outside.
COPY --from=install /sluice ./
# Readable for everybody, whatever the umask of the clone is.
COPY --chmod=755 apps apps
COPY --chmod=755 packages packages
# The console shows what these say of a state or an alert.
COPY --chmod=755 docs/operations.md docs/runbooks.md docs/
USER node
CMD ["sluice", "--help"]
