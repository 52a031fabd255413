// Who comes in, how, and until when.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ADMIN, look, setUp, signIn, stage } from './browser.mjs';

const it = stage();
const VIEWER = { email: 'vic@example.org', name: 'Vic', password: 'only here to look' };

test('a new server is set up with the link in its log, once', async () => {
  const { browser, site } = it;
  const page = await browser.visitor(site);
  await page.goto('/admin');
  await page.waitForURL(/\/admin\/sign-in/);
  await page.getByText('Nobody administers this server yet').waitFor();
  await look(page, 'sign-in-before-set-up');

  await page.goto(site.setupPath());
  await look(page, 'set-up');
  await page.getByLabel('E-mail').fill(ADMIN.email);
  await page.getByLabel('Password', { exact: true }).fill('short');
  await page.getByRole('button', { name: 'Set up' }).click();
  await page.getByText('At least 10 characters').first().waitFor();
  assert.equal(await page.getByLabel('Password', { exact: true }).getAttribute('aria-invalid'), 'true');
  assert.equal(await page.getByLabel('E-mail').inputValue(), ADMIN.email, 'what was typed is kept');
  await look(page, 'set-up-refused');

  const admin = await setUp(browser, site);
  await admin.getByRole('heading', { name: 'No apps yet' }).waitFor();
  await look(admin, 'apps-empty');
  assert.equal((await page.goto(site.setupPath())).status(), 404);
});

test('one signs in, is told of a wrong password, and signs out', async () => {
  const { browser, site } = it;
  const page = await browser.visitor(site);
  await page.goto('/admin/people?cursor=');
  await page.waitForURL(/\/admin\/sign-in/);
  await page.getByLabel('E-mail').fill(ADMIN.email);
  await page.getByLabel('Password').fill('not the password');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').waitFor();
  await look(page, 'sign-in-refused');
  await signIn(page);
  assert.equal(new URL(page.url()).pathname, '/admin/people', 'back to what was asked for');

  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.waitForURL(/\/admin\/sign-in/);
  await look(page, 'sign-in');
  await page.goto('/admin');
  await page.waitForURL(/\/admin\/sign-in/);
});

test('a sign-in leads nowhere but into the console', async () => {
  const { browser, site } = it;
  for (const next of ['https://example.com/', '//example.com/', '/\\example.com', '/download/x']) {
    const page = await browser.visitor(site);
    await page.goto(`/admin/sign-in?next=${encodeURIComponent(next)}`);
    await signIn(page);
    assert.equal(page.url(), `${site.url}/admin`, next);
    await page.context().close();
  }
});

test('a session that ends elsewhere sends the next click to the sign-in, and from there back', async () => {
  const { browser, site } = it;
  const here = await browser.signedIn(site);
  const elsewhere = await browser.signedIn(site);
  await here.goto('/admin/account');
  await look(here, 'account');
  const others = here.getByRole('row').filter({ hasNotText: 'this one' });
  for (let left = (await others.count()) - 1; left > 0; left -= 1) {
    await others.nth(1).getByRole('button', { name: 'Sign out' }).click();
    await here.getByRole('row').nth(left + 1).waitFor({ state: 'detached' });
  }
  await elsewhere.getByRole('link', { name: 'People' }).click();
  await elsewhere.waitForURL(/\/admin\/sign-in\?next=/);
  await signIn(elsewhere);
  assert.equal(new URL(elsewhere.url()).pathname, '/admin/people');
});

test('an admin lets somebody in, who sets a password and sees what their role shows', async () => {
  const { browser, site } = it;
  await site.publish('acme', '1.0.0', 'beta');
  const admin = await browser.signedIn(site);
  await admin.getByRole('link', { name: 'People' }).click();
  await look(admin, 'people');
  await admin.getByRole('link', { name: 'Let somebody in' }).click();
  await look(admin, 'person-new');
  await admin.getByLabel('E-mail').fill(VIEWER.email);
  await admin.getByLabel('Name', { exact: true }).fill(VIEWER.name);
  await admin.getByLabel('Role for all apps').selectOption('viewer');
  await admin.getByRole('button', { name: 'Let in' }).click();
  const link = await admin.locator('.secret code').textContent();
  await look(admin, 'invited');

  const viewer = await browser.visitor(site);
  await viewer.goto(new URL(link).pathname);
  await look(viewer, 'invitation');
  await viewer.getByLabel('New password').fill(VIEWER.password);
  await viewer.getByRole('button', { name: 'Set password and sign in' }).click();
  await viewer.locator('#app-acme').waitFor();
  assert.equal((await viewer.goto(new URL(link).pathname)).status(), 410, 'the link worked once');
  await look(viewer, 'invitation-used');

  assert.equal((await viewer.goto('/admin/people')).status(), 403);
  await look(viewer, 'refused-403');
  assert.equal((await viewer.goto('/admin/nothing/here')).status(), 404);
  await look(viewer, 'missing-404');
  await viewer.getByRole('link', { name: 'All apps' }).click();
  await viewer.waitForURL(/\/admin$/);

  await admin.goto('/admin/people');
  await admin.getByRole('link', { name: VIEWER.email }).click();
  await look(admin, 'person');
  await admin.getByRole('link', { name: 'Disable…' }).click();
  await admin.getByRole('dialog').getByRole('button', { name: 'Disable' }).click();
  await admin.getByText('disabled', { exact: true }).waitFor();
  await viewer.reload();
  await viewer.waitForURL(/\/admin\/sign-in/);
});

test('a link to set a password is good without TLS, too', async () => {
  const { browser, site } = it;
  const path = await site.invite('una@example.org', '--role', 'viewer');
  // To any address but the machine's own, browsers say over plain HTTP no more than the origin of a form.
  const baseURL = site.url.replace('127.0.0.1', 'plain.test');
  const context = await browser.chromium.newContext({ baseURL });
  const page = await context.newPage();
  await page.goto(path);
  await page.getByLabel('New password').fill(VIEWER.password);
  await page.getByRole('button', { name: 'Set password and sign in' }).click();
  await page.getByRole('heading', { name: 'Apps' }).waitFor();
  assert.equal(page.url(), `${baseURL}/admin`);
  await context.close();
});
