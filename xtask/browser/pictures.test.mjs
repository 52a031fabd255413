// The example app, as the documentation shows it: `cargo xtask browser pictures --screenshots docs/images`
// takes its pictures again.

import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';

import { setUp, stage } from './browser.mjs';

const it = stage();
const EXAMPLES = join(dirname(fileURLToPath(import.meta.url)), '../../examples/dist');
const PHONE =
  'Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36';

/** Publishes a release for four platforms, as CI would. */
async function publish(site, token, version, build, notes) {
  const program = (platform) => site.file(`hello-${version}-${platform}-x86_64.bin`, `${platform} ${version}`.repeat(9e3));
  const artifacts = [
    { platform: 'android_apk', path: join(EXAMPLES, `hello-${version}.apk`) },
    ...['linux', 'macos', 'windows'].map((platform) => ({ platform, arch: 'x86_64', path: program(platform) })),
  ];
  const source = { commit: '8d07f3a2c1', branch: 'main', run_url: `https://ci.example.org/runs/${build}` };
  const manifest = { app: 'hello', display_name: 'Hello', version, build, channel: 'beta', notes, source, artifacts };
  await site.remote(token, 'ci', 'publish', '--manifest', site.file('dist.json', JSON.stringify(manifest)));
}

async function picture(page, name, size) {
  await page.setViewportSize(size);
  await page.emulateMedia({ colorScheme: 'light' });
  if (!process.env.SCREENSHOTS) return;
  await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`) });
}

test('the console and a phone, with the example app', async () => {
  const { browser, site } = it;
  const { secret } = await site.dist('token', 'create', '--name', 'ci', '--scope', 'publish,promote');
  await publish(site, secret, '1.0.0', '1', 'Says hello.');
  await site.remote(secret, 'release', 'promote', '--app', 'hello', '--from-channel', 'beta', '--to-channel', 'stable');
  await publish(site, secret, '1.1.0', '2', 'Says hello more politely.');

  const admin = await setUp(browser, site);
  await admin.goto('/admin/apps/hello');
  assert.ok(await admin.getByText('1.1.0').first().isVisible());
  await picture(admin, 'console', { width: 1024, height: 640 });

  const phone = await browser.visitor(site, { userAgent: PHONE });
  await phone.goto('/install/hello/beta');
  assert.ok(await phone.getByText('Download for Android').first().isVisible());
  await picture(phone, 'install', { width: 390, height: 720 });
});
