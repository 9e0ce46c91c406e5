// The pages people see: plain forms, no script in the page. Tests find buttons by `data-person` and `data-action`.
import type { DirectoryUser } from '../directory.js'

const escape = (text: string) => text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)

const style = `
:root { color-scheme: light dark; --paper: #f2f2f2; --card: #fff; --ink: #1b1b1b; --soft: #595959; --line: #767676;
  --active: #e8f1fb; --focus: #0067b8; --bad: #a80000; --alert: #fdf3f4 }
@media (prefers-color-scheme: dark) {
  :root { --paper: #161616; --card: #242424; --ink: #f0f0f0; --soft: #b5b5b5; --line: #8a8a8a;
    --active: #123350; --focus: #6cb8f6; --bad: #ff9a9a; --alert: #3a2022 }
}
* { box-sizing: border-box }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; background: var(--paper); color: var(--ink) }
main { max-width: 30rem; margin: 3rem auto; padding: 2rem; background: var(--card); border: 1px solid var(--line);
  overflow-wrap: anywhere }
h1 { font-size: 1.4rem; margin: 0 0 .5rem }
ul { list-style: none; margin: 1rem 0; padding: 0 }
button { font: inherit; width: 100%; margin: .25rem 0; padding: .6rem .8rem; text-align: left; background: var(--card);
  color: inherit; border: 1px solid var(--line); cursor: pointer; overflow-wrap: anywhere }
button:hover, button:focus { background: var(--active); outline: 2px solid var(--focus) }
small { display: block; color: var(--soft) }
a { color: var(--focus) }
.error { padding: .6rem .8rem; border-left: 4px solid var(--bad); background: var(--alert) }
@media (max-width: 32rem) { main { margin: 0; padding: 1.25rem; border: 0; min-height: 100vh } }`

export function page(title: string, body: string, head = ''): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)} - simulated Entra ID</title><style>${style}</style>${head}</head>
<body><main><h1>${escape(title)}</h1>
${body}
<p><small>This is a simulated Entra ID for demos and tests: there are no passwords.</small></p>
</main></body></html>
`
}

const hidden = (fields: Record<string, string>) =>
  Object.entries(fields)
    .map(([name, value]) => `<input type="hidden" name="${escape(name)}" value="${escape(value)}">`).join('\n')

const alert = (error?: string) => error === undefined ? '' : `<p class="error" role="alert">${escape(error)}</p>\n`

function personButton(user: DirectoryUser) {
  const line = [user.userPrincipalName, user.note ?? (user.userType === 'Guest' ? 'guest' : 'member')].join(' - ')
  return `<li><button type="submit" name="person" value="${user.id}" data-person="${user.id}">${
    escape(user.displayName)
  }<small>${escape(line)}</small></button></li>`
}

/** `parameters` are those of the authorization request; they travel in hidden fields, so the form needs no cookie. */
export function signInPage(
  wish: {
    action: string
    appName: string
    appHost: string
    people: DirectoryUser[]
    parameters: Record<string, string>
    error?: string
  },
): string {
  return page(
    'Pick an account',
    `<p>to continue to <b>${escape(wish.appName)}</b> at ${escape(wish.appHost)}</p>
${alert(wish.error)}<form method="post" action="${escape(wish.action)}">
${hidden(wish.parameters)}
<ul>
${wish.people.map(personButton).join('\n')}
</ul>
<button type="submit" name="action" value="cancel" data-action="cancel">Cancel</button>
<button type="submit" name="action" value="decline" data-action="decline">Decline consent</button>
</form>`,
  )
}

export function errorPage(description: string): string {
  return page("Sorry, but we're having trouble signing you in", alert(description))
}

/** For response_mode=form_post; the script is a file of its own, and without it there is a button. */
export function formPostPage(redirectUri: string, parameters: URLSearchParams): string {
  return page(
    'Working...',
    `<form method="post" action="${escape(redirectUri)}">
${hidden(Object.fromEntries(parameters))}
<button type="submit">Continue</button>
</form>
<script src="/form-post.js"></script>`,
  )
}

export function signOutPicker(action: string, user: DirectoryUser, parameters: Record<string, string>): string {
  return page(
    'Which account do you want to sign out of?',
    `<form method="post" action="${escape(action)}">
${hidden(parameters)}
<ul>
${personButton(user)}
</ul>
</form>`,
  )
}

/** The browser follows `next` after the application has been notified in the frame. */
export function signedOutPage(wish: { frame?: string, next?: string, notice?: string }): string {
  const frame = wish.frame === undefined
    ? ''
    : `<iframe src="${escape(wish.frame)}" title="signing out of the application" width="1" height="1" hidden></iframe>`
  const next = wish.next === undefined
    ? '<p>It is a good idea to close all browser windows.</p>'
    : `<p><a href="${escape(wish.next)}" data-action="continue">Continue</a></p>`
  const refresh = wish.next === undefined ? '' : `<meta http-equiv="refresh" content="1;url=${escape(wish.next)}">`
  return page('You signed out of your account', `${alert(wish.notice)}${frame}${next}`, refresh)
}
