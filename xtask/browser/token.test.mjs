// A token's life: made, used by CI, looked at, cut off.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { look, setUp, stage } from './browser.mjs';

const it = stage();

test('a token is shown once, publishes, is revoked, and is refused from then on', async () => {
  const { browser, site } = it;
  const page = await setUp(browser, site);
  await page.getByRole('link', { name: 'Tokens' }).click();
  await look(page, 'tokens-empty');
  await page.getByRole('link', { name: 'New token' }).click();
  await look(page, 'token-new');
  await page.getByLabel('Name').fill('ci-acme');
  await page.getByRole('checkbox', { name: /^publish/ }).check();
  await page.getByLabel('App', { exact: true }).fill('acme');
  // Twice is once: a second token of the name would be refused, and hide the secret of the first.
  await page.getByRole('button', { name: 'Make the token' }).dblclick();
  const secret = await page.locator('#secret').textContent();
  assert.match(secret, /^dist_[0-9a-f]{64}$/);
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.getByRole('button', { name: 'Copy the secret' }).click();
  await page.getByText('Copied', { exact: true }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), secret);
  await look(page, 'token-made');

  await page.getByRole('link', { name: 'I have stored it' }).click();
  assert.ok(!(await page.content()).includes(secret), 'it is shown once');
  await page.goBack();
  assert.ok(!(await page.content()).includes(secret), 'nor does the browser keep it');

  await site.publish('acme', '1.0.0', 'beta', {}, (...args) => site.remote(secret, ...args));
  await page.goto('/admin/tokens');
  await look(page, 'tokens');
  await page.getByRole('link', { name: 'ci-acme' }).click();
  await page.getByRole('heading', { name: 'What it published last' }).waitFor();
  await look(page, 'token');
  assert.ok(!(await page.content()).includes(secret));

  await page.getByRole('link', { name: 'Revoke…' }).click();
  await page.getByRole('dialog').getByText('cannot be brought back').waitFor();
  await look(page, 'token-revoke-dialog');
  await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
  await page.getByText('revoked', { exact: true }).first().waitFor();
  await page.getByRole('heading', { name: 'ci-acme' }).waitFor();
  await look(page, 'token-revoked');

  const { code, error } = await site.refused(secret, 'release', 'list', '--app', 'acme');
  assert.deepEqual([code, error.code], [4, 'auth.revoked']);
});
