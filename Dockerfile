# Two images from one build:
#   docker build -t gatehouse .                      the gateway alone (target `runtime`, the last one)
#   docker build -t gatehouse-demo --target demo .   the same with the simulated Entra ID and the demo application
# docs/deployment.md says how to run them; docs/testing.md what of this file has been tried and how.
ARG NODE_IMAGE=docker.io/library/node:22-slim

# Compiles. Types of the optional packages are needed here, install scripts are not.
FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build.mjs scripts/build.mjs
COPY src src
RUN npm run build
# What only the demo needs does not get into the gateway's image.
RUN mkdir /demo && mv dist/demo /demo/demo && rm -f dist/commands/demo.js dist/commands/demo.d.ts

# What runs in production: no development packages, no embedded PostgreSQL.
FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund

FROM ${NODE_IMAGE} AS program
ENV NODE_ENV=production
WORKDIR /app
COPY package.json LICENSE ./
COPY --from=dependencies /app/node_modules node_modules
COPY migrations migrations
COPY config/gatehouse.example.yaml config/gatehouse.schema.json config/
COPY config/proxies config/proxies
COPY --from=build /app/dist dist
USER node
EXPOSE 4180
# For an orchestrator's probes; config/gatehouse.example.yaml reads it. Never publish the port.
ENV GATEHOUSE_MANAGEMENT_HOST=0.0.0.0
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.GATEHOUSE_MANAGEMENT_PORT || 4181) + '/healthz').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/dist/cli.js"]
CMD ["serve"]

# NOT for production: the simulated Entra ID lets anybody sign in as anybody.
FROM program AS demo
COPY --from=build /demo/demo dist/demo

FROM program AS runtime
