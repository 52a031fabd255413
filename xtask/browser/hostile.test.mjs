// Every page of the console and every install page, found by following all links, where every name
// that comes from outside is hostile: nothing runs, nothing breaks, and axe finds nothing serious.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ADMIN, look, setUp, stage } from './browser.mjs';

const it = stage();

const SCRIPT = '"><script>alert(1)</script><img src=x onerror=alert(2)>';
const TURNED = '\u202egnp.exe \u2066\u202e';
const LONG = 'w'.repeat(300);

/** Pages that must be among those which were found, ids left out. */
const PAGES = [
  '/',
  '/admin',
  '/admin/account',
  '/admin/apps/:app',
  '/admin/apps/:app/channels/:channel',
  '/admin/apps/:app/channels/:channel/rollback',
  '/admin/apps/:app/channels/:channel/settings',
  '/admin/apps/:app/compare',
  '/admin/apps/:app/links/:id/revoke',
  '/admin/apps/:app/promote',
  '/admin/apps/:app/releases/:id',
  '/admin/apps/:app/releases/:id/discard',
  '/admin/apps/:app/releases/:id/publish',
  '/admin/apps/:app/releases/:id/yank',
  '/admin/apps/:app/settings',
  '/admin/audit',
  '/admin/downloads',
  '/admin/downloads/:app',
  '/admin/health',
  '/admin/new-app',
  '/admin/people',
  '/admin/people/:id',
  '/admin/people/:id/disable',
  '/admin/people/new',
  '/admin/storage',
  '/admin/tokens',
  '/admin/tokens/:id',
  '/admin/tokens/:id/revoke',
  '/admin/tokens/new',
  '/install/:app/:channel',
];

/** Publishes and makes whatever carries a name; gives the pages that show most of it. */
async function fill(site) {
  const source = { commit: SCRIPT, branch: TURNED, run_url: `https://ci.example.org/${SCRIPT}` };
  const file = site.file('x.bin', 'hostile');
  const artifacts = [{ platform: 'linux', path: file, filename: '<img src=x onerror=alert(4)>.bin', metadata: { flavor: SCRIPT } }];
  const hostile = { display_name: `${SCRIPT}${TURNED}`, notes: `# ${SCRIPT}\n\n[x](javascript:alert(5)) ${TURNED}\n\n${LONG}`, source, artifacts };
  const first = await site.publish('hostile', '1.0.0', 'alpha', hostile);
  await site.publish('hostile', '1.5.0', 'beta');
  const second = await site.publish('hostile', `2.0.0-${'9'.repeat(58)}`, 'beta', { notes: '', source: { branch: LONG } });
  await site.publish('hostile', '2.0.0', 'c'.repeat(63));
  await site.publish('hostile', '3.0.0', 'beta', {}, (...args) => site.dist(...args, '--draft'));
  await site.publish('l'.repeat(63), '1.0.0', 'beta', { display_name: 'w'.repeat(100) });
  await site.dist('link', 'create', '--app', 'hostile', '--channel', 'beta', '--note', SCRIPT);
  await site.dist('token', 'create', '--name', SCRIPT, '--scope', 'publish,promote');
  await site.person({ email: "o'neil+<b>@example.org", name: '<script>alert(6)</script>', password: 'hostile as well' }, '--role', 'viewer');
  const ids = [first.release.id, second.release.id];
  return [
    ...ids.map((id) => `/admin/apps/hostile/releases/${id}`),
    `/admin/apps/hostile/compare?from=${ids[0]}&to=${ids[1]}`,
    `/admin/apps/hostile/promote?channel=beta&release=${ids[0]}`,
    '/admin/apps/hostile/channels/beta',
    '/admin/search?q=hostile',
    '/install/hostile/alpha',
  ];
}

/** A page's address with everything left out in which pages of one kind differ. */
function kind(url) {
  const path = url.pathname
    .replace(/^(\/admin\/(?:apps|downloads)|\/install)\/[^/]+/, '$1/:app')
    .replace(/(\/channels|\/install\/:app)\/[^/]+/, '$1/:channel')
    .replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, ':id');
  return path;
}

test('every page stands whatever is written on it', async (story) => {
  const { browser, site } = it;
  const userAgent = `${SCRIPT} ${LONG}`;
  await (await setUp(browser, site)).context().close();
  const queue = [...(await fill(site)), '/admin', '/'];
  const page = await browser.signedIn(site, ADMIN, { userAgent });
  // A page of each kind is enough, beside those that show most.
  const seen = new Set(['/admin/sign-out']);
  const chosen = new Set(queue);
  const found = [];
  const problems = [];
  while (queue.length > 0) {
    const path = queue.shift();
    const url = new URL(path, site.url);
    const isChosen = chosen.delete(path);
    if (seen.has(kind(url)) && !isChosen) continue;
    seen.add(kind(url));
    const answer = await page.goto(path);
    if (answer.status() !== 200) problems.push(`${path} leads to ${answer.status()}`);
    found.push(kind(url));
    assert.equal(await page.locator('script:not([nonce]), [onerror], a[href^="javascript:"]').count(), 0, path);
    assert.doesNotMatch(await page.content(), /[\u202a-\u202e\u2066-\u2069]/, path);
    await look(page, `every${kind(url).replaceAll(/[/:]+/g, '-')}-${found.length}`).catch((problem) => problems.push(problem.message));
    const links = await page.locator('a[href]:not([download])').evaluateAll((all) => all.map((link) => link.href));
    for (const link of links.map((link) => new URL(link))) {
      const isPage = /^\/(admin|install|$)/.test(link.pathname) && !/\.(csv|jsonl)$/.test(link.pathname);
      if (link.origin === site.url && isPage) queue.push(link.pathname + link.search);
    }
  }
  assert.deepEqual(problems, []);
  story.diagnostic(`${found.length} pages: ${[...new Set(found)].sort().join(' ')}`);
  assert.deepEqual(PAGES.filter((wanted) => !found.includes(wanted)), [], 'no link leads there');
});
