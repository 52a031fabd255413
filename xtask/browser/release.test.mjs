// What a release manager does: sees what CI published, promotes it, takes it back; with a mouse, with
// keys alone, and without any script.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ADMIN, look, openLive, setUp, signIn, stage } from './browser.mjs';

const it = stage();
let admin;

/** What a channel's card on the app's page says it offers. */
const offered = (page, channel) => page.locator(`#channel-${channel} .channel-now a`);

/** An app of this name with 1.0.0 on stable and 1.1.0 on beta. */
async function publishTwo(app) {
  admin ??= await setUp(it.browser, it.site);
  await it.site.publish(app, '1.0.0', 'stable');
  await it.site.publish(app, '1.1.0', 'beta');
}

test('what CI publishes shows on pages that are open, without a reload', async () => {
  const { browser, site } = it;
  await publishTwo('live');
  const { secret } = await site.dist('token', 'create', '--name', 'ci-live', '--scope', 'publish', '--app', 'live');
  const apps = admin;
  const app = await browser.beside(site, admin);
  await Promise.all([openLive(apps, '/admin'), openLive(app, '/admin/apps/live')]);
  for (const page of [apps, app]) {
    await page.evaluate(() => (globalThis.isTheSamePage = true));
  }
  await site.publish('live', '1.2.0', 'beta', {}, (...args) => site.remote(secret, ...args));
  await apps.locator('#apps').getByText('1.2.0').first().waitFor();
  await app.locator('#releases').getByRole('link', { name: '1.2.0', exact: true }).waitFor();
  await offered(app, 'beta').getByText('1.2.0').waitFor();
  await app.getByRole('status').getByText('1.2.0').waitFor();
  await look(app, 'app-live');
  for (const page of [apps, app]) {
    assert.ok(await page.evaluate(() => globalThis.isTheSamePage), 'the page was loaded again');
  }
  await app.context().close();
});

test('what a proxy answers while the server starts ends no live page', async () => {
  const { browser, site } = it;
  await site.publish('proxied', '1.0.0', 'beta');
  const { origins, cookies } = await admin.context().storageState();
  const context = await browser.chromium.newContext({ baseURL: site.url, storageState: { origins, cookies } });
  const page = await context.newPage();
  await page.route('**/admin/live', (route) => route.fulfill({ status: 502 }), { times: 1 });
  await page.goto('/admin/apps/proxied');
  await page.waitForResponse((response) => response.url().endsWith('/admin/live') && response.ok());
  await site.publish('proxied', '1.1.0', 'beta');
  await offered(page, 'beta').getByText('1.1.0').waitFor();
  await context.close();
});

test('promoting says what will change, and rolling back undoes it', async () => {
  await publishTwo('acme');
  const page = admin;
  await page.goto('/admin/apps/acme');
  await look(page, 'app');
  await page.getByRole('link', { name: 'Promote…', exact: true }).first().click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('will offer').waitFor();
  await look(page, 'promote-dialog');
  await dialog.getByRole('link', { name: 'Cancel' }).click();
  await dialog.waitFor({ state: 'hidden' });

  await page.getByRole('link', { name: 'Promote 1.1.0' }).click();
  await dialog.getByRole('button', { name: 'Promote 1.1.0 to stable' }).click();
  await page.getByText('stable now offers 1.1.0; before, it was 1.0.0.').waitFor();
  assert.equal(await offered(page, 'stable').textContent(), '1.1.0');
  await look(page, 'app-promoted');

  await page.getByRole('link', { name: 'Undo…' }).click();
  await dialog.getByRole('button', { name: 'Roll stable back to 1.0.0' }).click();
  await page.getByText('stable now offers 1.0.0').waitFor();
  await page.getByRole('link', { name: 'stable' }).first().click();
  await page.getByText('rolled back').first().waitFor();
  await look(page, 'channel');
});

test('a confirmation that somebody else overtook asks again', async () => {
  const { site } = it;
  await publishTwo('race');
  const page = admin;
  await page.goto('/admin/apps/race');
  await page.getByRole('link', { name: 'Promote 1.1.0' }).click();
  const confirm = page.getByRole('dialog').getByRole('button', { name: 'Promote 1.1.0 to stable' });
  await confirm.waitFor();
  await site.publish('race', '1.0.1', 'stable');
  const answered = page.waitForResponse((response) => response.request().method() === 'POST');
  await confirm.click();
  assert.equal((await answered).status(), 412);
  await page.getByRole('main').getByText('1.0.1').first().waitFor();
  await look(page, 'promote-overtaken');
  await page.getByRole('main').getByRole('button', { name: 'Promote 1.1.0 to stable' }).click();
  await page.getByText('stable now offers 1.1.0; before, it was 1.0.1.').waitFor();
});

test('a bad release is yanked, and its channel goes back', async () => {
  await publishTwo('bad');
  const page = admin;
  await page.goto('/admin/apps/bad');
  await page.getByRole('link', { name: 'Promote 1.1.0' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Promote 1.1.0 to stable' }).click();
  await page.getByText('stable now offers 1.1.0').waitFor();
  await it.site.publish('bad', '1.0.5', 'beta');
  await page.getByRole('link', { name: 'Yank 1.1.0' }).click();
  const why = page.getByRole('dialog').getByLabel('Why');
  await why.fill('It forgets what people typed.');
  // Neither a click on its edge nor a selection that ends beside it closes a dialog.
  const [edge, field] = [await page.getByRole('dialog').boundingBox(), await why.boundingBox()];
  await page.mouse.click(edge.x + 6, edge.y + 6);
  await page.mouse.move(field.x + 40, field.y + 8);
  await page.mouse.down();
  await page.mouse.move(edge.x - 40, field.y + 8, { steps: 3 });
  await page.mouse.up();
  assert.equal(await why.inputValue(), 'It forgets what people typed.');
  assert.ok(await why.isVisible());
  await look(page, 'yank-dialog');
  await page.getByRole('dialog').getByRole('button', { name: 'Yank 1.1.0 and roll back' }).click();
  await page.getByText('The release is yanked').waitFor();
  await page.goto('/admin/apps/bad');
  assert.equal(await offered(page, 'stable').textContent(), '1.0.0');
  await look(page, 'app-yanked');
});

/** Presses Tab until something has the focus, as often as somebody would put up with. */
async function tabTo(page, wanted) {
  for (let presses = 0; presses < 40; presses += 1) {
    if (await wanted.evaluate((element) => element === document.activeElement)) return;
    await page.keyboard.press('Tab');
  }
  assert.fail(`the keyboard does not reach ${wanted}`);
}

test('from the sign-in to a promotion and back with keys alone', async () => {
  const { browser, site } = it;
  await publishTwo('keys');
  const page = await browser.visitor(site);
  await page.goto('/admin');
  await tabTo(page, page.getByLabel('E-mail'));
  await page.keyboard.type(ADMIN.email);
  await page.keyboard.press('Tab');
  await page.keyboard.type(ADMIN.password);
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/admin$/);

  await page.keyboard.press('/');
  await page.keyboard.type('keys');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/admin\/search\?q=keys/);
  await page.keyboard.press('g');
  await page.keyboard.press('a');
  await page.waitForURL(/\/admin$/);
  const row = page.locator('#app-keys');
  await row.waitFor();
  for (let presses = 0; !(await row.evaluate((link) => link === document.activeElement)); presses += 1) {
    assert.ok(presses < 20, 'j does not reach the row');
    await page.keyboard.press('j');
  }
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/apps\/keys$/);

  await tabTo(page, page.getByRole('link', { name: 'Promote 1.1.0' }));
  await page.keyboard.press('Enter');
  const confirm = page.getByRole('dialog').getByRole('button', { name: 'Promote 1.1.0 to stable' });
  await confirm.waitFor();
  await page.keyboard.press('Escape');
  await confirm.waitFor({ state: 'hidden' });
  await page.keyboard.press('Enter');
  await tabTo(page, confirm);
  await page.keyboard.press('Enter');
  await page.getByText('stable now offers 1.1.0').waitFor();

  await tabTo(page, page.getByRole('link', { name: 'Undo…' }));
  await page.keyboard.press('Enter');
  await tabTo(page, page.getByRole('dialog').getByRole('button', { name: 'Roll stable back to 1.0.0' }));
  await page.keyboard.press('Enter');
  await page.getByText('stable now offers 1.0.0').waitFor();

  await page.keyboard.press('?');
  await page.getByRole('heading', { name: 'Keyboard' }).waitFor();
  await look(page, 'keys-dialog');
  await page.keyboard.press('Escape');
  await page.keyboard.press('g');
  await page.keyboard.press('t');
  await page.waitForURL(/\/admin\/tokens$/);
  await page.context().close();
});

test('promoting and rolling back without script', async () => {
  const { browser, site } = it;
  await publishTwo('plain');
  const page = await browser.visitor(site, { javaScriptEnabled: false });
  await page.goto('/admin/apps/plain');
  await signIn(page);
  await page.getByRole('link', { name: 'Promote 1.1.0' }).click();
  await page.getByRole('link', { name: 'Cancel' }).click();
  await page.getByRole('link', { name: 'Promote 1.1.0' }).click();
  await page.getByRole('heading', { name: 'Promote 1.1.0 to stable' }).waitFor();
  await page.getByRole('button', { name: 'Promote 1.1.0 to stable' }).click();
  await page.getByText('stable now offers 1.1.0').waitFor();
  await page.getByRole('link', { name: 'Undo…' }).click();
  await page.getByRole('heading', { name: 'Roll stable back to 1.0.0' }).waitFor();
  await page.getByRole('button', { name: 'Roll stable back to 1.0.0' }).click();
  await page.getByText('stable now offers 1.0.0').waitFor();
  assert.equal(await offered(page, 'stable').textContent(), '1.0.0');
  await page.getByLabel('Search apps').fill('plain');
  await page.getByLabel('Search apps').press('Enter');
  await page.getByRole('main').getByRole('link', { name: 'plain' }).first().waitFor();
  await page.context().close();
});

test('on a phone the navigation shows where one is', async () => {
  const { browser, site } = it;
  const page = await browser.beside(site, admin, { viewport: { width: 390, height: 800 } });
  await page.goto('/admin/health');
  const current = await page.locator('.nav [aria-current]').boundingBox();
  assert.ok(current.x >= 0 && current.x + current.width <= 390, `it is at ${current.x}`);
  await page.context().close();
});
