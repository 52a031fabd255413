// What testers and users see: each their own platform first, and of a private app nothing at all
// without a link.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';

import { look, stage } from './browser.mjs';

const it = stage();
const FIXTURES = process.env.FIXTURES;

const VISITORS = {
  Android: {
    userAgent: 'Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36',
    file: 'android/fdroid-com.politedroid_6.apk',
    title: 'Android',
    says: /Android asks once to allow installing unknown apps/,
  },
  iOS: {
    userAgent: 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1',
    file: 'ios/fastlane-very-capable-app.ipa',
    title: 'iPhone and iPad',
    says: /This app cannot be installed from this page/,
  },
  macOS: {
    userAgent: 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.0 Safari/605.1.15',
    file: 'macos/gen-rcodesign-signed.dmg',
    title: 'macOS',
    says: /Gatekeeper blocks it/,
  },
  Linux: {
    userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
    file: 'linux/debian-hello_2.10-3_amd64.deb',
    title: 'Linux',
    says: /sha256sum -c/,
  },
  Windows: {
    userAgent: 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0.0.0 Edg/140.0.0.0',
    file: 'windows/gen-gullmsi-x64.msi',
    title: 'Windows',
    says: /SmartScreen/,
  },
};

/** Publishes a file for each of the platforms; without real ones, one that only Linux has. */
async function publishForAll(site, diagnostic) {
  if (!FIXTURES) {
    diagnostic('there are no real artifacts (FIXTURES): four of five platforms have nothing to install');
    await site.publish('tide', '1.0.0', 'beta', { display_name: 'Tide' });
    return;
  }
  const files = Object.values(VISITORS).map(({ file }) => join(FIXTURES, file));
  await site.dist('ci', 'publish', '--app', 'tide', '--version', '1.0.0', '--channel', 'beta', ...files);
  await site.dist('app', 'set', '--app', 'tide', '--display-name', 'Tide', '--ios-public-download', 'true');
}

test('each of five devices is shown its own platform first', async (story) => {
  const { browser, site } = it;
  await publishForAll(site, (text) => story.diagnostic(text));
  for (const [platform, { userAgent, title, says }] of Object.entries(VISITORS)) {
    await story.test(platform, async () => {
      const visitor = await browser.visitor(site, { userAgent });
      await visitor.goto('/install/tide/beta');
      await look(visitor, `install-${platform}`);
      if (!FIXTURES && platform !== 'Linux') {
        await visitor.getByText(`There is nothing for ${title}`).waitFor();
        return;
      }
      const own = visitor.getByRole('region', { name: '(this device)' });
      assert.equal(await own.getByRole('heading').first().textContent(), `${title} (this device)`);
      assert.match(await own.innerText(), says);
      const action = own.locator('.actions a, a.file').first();
      const answer = await fetch(new URL(await action.getAttribute('href'), site.url));
      assert.equal(answer.status, 200);
      assert.match(answer.headers.get('content-disposition'), /^attachment/);
      await answer.body.cancel();
    });
  }
});

test('a phone is sent to TestFlight and nowhere else, and only a desktop is shown a code', async (story) => {
  const { browser, site } = it;
  if (!FIXTURES) return story.skip('it needs a real IPA (FIXTURES)');
  const invitation = 'https://testflight.apple.com/join/x';
  await site.dist('app', 'set', '--app', 'tide', '--ios-mode', 'testflight', '--testflight-url', invitation);
  const phone = await browser.visitor(site, { userAgent: VISITORS.iOS.userAgent });
  await phone.goto('/install/tide/beta');
  const links = phone.getByRole('region', { name: '(this device)' }).getByRole('link');
  assert.deepEqual(await links.evaluateAll((found) => found.map((link) => link.href)), [invitation]);
  assert.equal(await phone.getByRole('heading', { name: 'On a phone' }).count(), 0);
  await look(phone, 'install-testflight');
  const desk = await browser.visitor(site, { userAgent: VISITORS.Linux.userAgent });
  await desk.goto('/install/tide/beta');
  await desk.getByRole('heading', { name: 'On a phone' }).waitFor();
  await site.dist('app', 'set', '--app', 'tide', '--ios-mode', 'artifact_only', '--testflight-url', '');
});

test('the index lists what is public, and leads to it', async () => {
  const { browser, site } = it;
  await site.publish('acme', '1.0.0', 'beta', { display_name: 'Acme' });
  const visitor = await browser.visitor(site);
  await visitor.goto('/');
  await look(visitor, 'index');
  await visitor.getByRole('link', { name: 'Acme' }).click();
  await visitor.getByRole('heading', { name: 'Acme' }).waitFor();
  await visitor.getByRole('link', { name: 'All apps' }).click();
  await visitor.getByRole('heading', { name: 'Apps' }).waitFor();
});

test('of a private app a stranger learns nothing, and a tester gets all without cookies', async () => {
  const { browser, site } = it;
  await site.publish('secret', '1.0.0', 'beta', { display_name: 'Project Secret' });
  await site.dist('app', 'set', '--app', 'secret', '--visibility', 'private');
  const made = await site.dist('link', 'create', '--app', 'secret', '--channel', 'beta');
  const stranger = await browser.visitor(site);
  const refused = await stranger.goto('/install/secret/beta');
  const missing = await stranger.goto('/install/no-such-app/beta');
  assert.deepEqual([refused.status(), missing.status()], [404, 404]);
  await look(stranger, 'install-missing');
  await stranger.goto('/');
  assert.equal(await stranger.getByText('Project Secret').count(), 0);

  const tester = await browser.visitor(site);
  await tester.goto(made.url);
  await tester.getByRole('heading', { name: 'Project Secret' }).waitFor();
  await look(tester, 'install-private');
  const download = await tester.locator('.actions a').first().getAttribute('href');
  assert.deepEqual(await tester.context().cookies(), [], 'nothing is kept in the browser');
  const address = new URL(download, site.url);
  const answer = await fetch(site.url + address.pathname + address.search);
  assert.equal(await answer.text(), 'secret 1.0.0');
  assert.match(answer.headers.get('cache-control'), /private/);
  address.searchParams.delete('link');
  assert.equal((await fetch(site.url + address.pathname + address.search)).status, 404, 'without the link');

  await site.dist('link', 'revoke', '--app', 'secret', made.link.id);
  assert.equal((await tester.reload()).status(), 410, 'whoever had the link is told that it ended');
  await look(tester, 'install-link-ended');
});
