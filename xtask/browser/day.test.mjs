// A release manager's day, from the console alone, with the clicks counted.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { look, openLive, setUp, stage } from './browser.mjs';

const it = stage();
const MANAGER = { email: 'max@example.org', name: 'Max', password: 'every single day' };
const RUN = 'https://ci.example.org/runs/1';

/** Clicks, and counts them. */
class Hand {
  clicks = 0;

  async click(target) {
    this.clicks += 1;
    await target.click();
  }
}

test("a release manager's day", async (story) => {
  const { browser, site } = it;
  await (await setUp(browser, site)).context().close();
  await site.person(MANAGER, '--role', 'manager');
  await site.publish('acme', '2.3.0', 'stable', { display_name: 'Acme' });
  const ci = await site.dist('token', 'create', '--name', 'ci-acme', '--scope', 'publish', '--app', 'acme');
  const page = await browser.signedIn(site, MANAGER);
  await openLive(page, '/admin');
  const dialog = page.getByRole('dialog');

  /** Does a part of the day, and holds it against the most clicks that it may take. */
  const part = async (what, most, work) => {
    const hand = new Hand();
    await work((target) => hand.click(target));
    story.diagnostic(`${what}: ${hand.clicks} clicks`);
    assert.ok(hand.clicks <= most, `${what} took ${hand.clicks} clicks`);
  };

  await part('see what CI published', 0, async () => {
    const source = { commit: 'c0ffee12'.repeat(5), branch: 'main', run_url: RUN };
    const more = { build: '812', notes: 'Fixes **login**.', source };
    await site.publish('acme', '2.4.0', 'beta', more, (...args) => site.remote(ci.secret, ...args));
    await page.locator('#apps').getByText('2.4.0 (812)').first().waitFor();
    await look(page, 'day-1-apps');
  });
  await part('check it', 2, async (click) => {
    await click(page.locator('#apps').getByRole('link', { name: '2.4.0 (812)' }).first());
    await page.getByRole('heading', { name: 'Findings' }).waitFor();
    await page.getByText('c0ffee').first().waitFor();
    await page.getByRole('link', { name: RUN }).waitFor();
    await look(page, 'day-2-release');
    await click(page.getByRole('link', { name: 'Compare' }));
    await page.getByText('SHA-256').first().waitFor();
    await look(page, 'day-3-compare');
    await page.goBack();
  });
  await part('promote it', 2, async (click) => {
    await click(page.getByRole('link', { name: 'Promote…' }));
    await click(dialog.getByRole('button', { name: 'Promote 2.4.0 (812) to stable' }));
    await page.getByText('stable now offers 2.4.0 (812)').waitFor();
    await look(page, 'day-4-promoted');
  });
  await part('find out who promoted what on a day', 2, async (click) => {
    await click(page.getByRole('link', { name: 'stable' }).first());
    await page.getByLabel('Day (UTC)').fill(new Date().toISOString().slice(0, 10));
    await click(page.getByRole('button', { name: 'Tell' }));
    const told = page.locator('#day');
    await told.getByText('2.4.0 (812)').waitFor();
    assert.match(await told.innerText(), /promoted by user:max@example\.org/);
    await look(page, 'day-5-who');
  });
  await part('roll back', 2, async (click) => {
    await click(page.getByRole('link', { name: 'Roll back…' }));
    await click(dialog.getByRole('button', { name: 'Roll stable back to 2.3.0' }));
    await page.getByText('stable now offers 2.3.0').waitFor();
    await look(page, 'day-6-rolled-back');
  });
  await part('cut off a leaked token', 4, async (click) => {
    await click(page.getByRole('link', { name: 'Tokens' }));
    await click(page.getByRole('link', { name: 'ci-acme' }));
    await click(page.getByRole('link', { name: 'Revoke…' }));
    await click(dialog.getByRole('button', { name: 'Revoke' }));
    await page.getByText('revoked', { exact: true }).first().waitFor();
    await look(page, 'day-7-revoked');
    const { error } = await site.refused(ci.secret, 'release', 'list', '--app', 'acme');
    assert.equal(error.code, 'auth.revoked');
  });
});
