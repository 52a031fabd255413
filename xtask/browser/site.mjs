// A server of its own for each story, a browser to use it with, and eyes that look at every page.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const load = createRequire(join(process.env.NODE_MODULES, 'from-here.js'));
const { chromium } = load('playwright-core');
const axe = readFileSync(load.resolve('axe-core/axe.min.js'), 'utf8');

export const FIXTURES = process.env.FIXTURES;
export const ADMIN = { email: 'ann@example.org', name: 'Ann Lee', password: 'correct horse battery' };

/** A running `distd` with a folder of its own. */
export class Site {
  /** Starts one with these flags, and waits until it answers. */
  static async start(flags = []) {
    const site = new Site();
    site.folder = mkdtempSync(join(tmpdir(), 'dist-browser-'));
    site.data = join(site.folder, 'data');
    const portFile = join(site.folder, 'port');
    const args = ['--data', site.data, '--listen', '127.0.0.1:0', '--port-file', portFile, ...flags];
    site.log = '';
    site.process = spawn(process.env.DISTD, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    site.process.stderr.on('data', (text) => (site.log += text));
    const port = await until(() => readFileSync(portFile, 'utf8').trim(), 'the server does not start', site);
    site.url = `http://127.0.0.1:${port}`;
    await until(async () => (await fetch(`${site.url}/healthz`)).ok, 'the server does not answer', site);
    return site;
  }

  /** The path of the one-time setup link that the server has printed. */
  setupPath() {
    const link = this.log.match(/\/admin\/setup\/[0-9a-f]{64}/);
    assert.ok(link, `no setup link in the log:\n${this.log}`);
    return link[0];
  }

  /** Runs `dist … --json` on the folder beside the server, and gives what it answers. */
  dist(...args) {
    return this.run([...args, '--local-store', this.data]);
  }

  /** Runs `dist … --json` against the server with a token. */
  remote(token, ...args) {
    return this.run([...args, '--server', this.url], { DIST_TOKEN: token });
  }

  run(args, env = {}) {
    const done = spawnSync(process.env.DIST, [...args, '--json'], {
      encoding: 'utf8',
      env: { ...process.env, CI: '', ...env },
    });
    const answer = JSON.parse(done.stdout || '{}');
    assert.equal(done.status, 0, `dist ${args.join(' ')}: ${done.stdout}${done.stderr}`);
    return answer;
  }

  /** A file to publish, made of some text. */
  file(name, text) {
    const folder = join(this.folder, 'files', String(Math.random()).slice(2));
    mkdirSync(folder, { recursive: true });
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  }

  /** Publishes one Linux file, as CI would. */
  publish(app, version, channel, text = `${app} ${version}`) {
    const file = this.file(`${app}-${version}.bin`, text);
    const target = ['--app', app, '--version', version, '--channel', channel];
    const manifest = { app, version, channel, artifacts: [{ platform: 'linux', arch: 'x86_64', path: file }] };
    const path = this.file('dist.json', JSON.stringify(manifest));
    return this.dist('ci', 'publish', '--manifest', path, ...target);
  }

  async stop() {
    const ended = new Promise((resolve) => this.process.once('exit', resolve));
    this.process.kill('SIGTERM');
    await ended;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function until(look, complaint, site) {
  const end = Date.now() + 30_000;
  while (Date.now() < end) {
    try {
      const found = await look();
      if (found) return found;
    } catch {
      // Not yet.
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`${complaint}\n${site.log}`);
}

/** A browser whose pages must complain of nothing. */
export class Browser {
  static async start() {
    const browser = new Browser();
    browser.chromium = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    });
    browser.complaints = [];
    return browser;
  }

  /** A new visitor with a page, whose complaints are kept. */
  async visitor(site, options = {}) {
    const context = await this.chromium.newContext({ baseURL: site.url, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    page.on('console', (message) => {
      // A refused form and a missing page are answers, which Chromium calls errors too.
      const answer = message.text().startsWith('Failed to load resource');
      if (message.type() === 'error' && !answer) this.complaints.push(`${page.url()}: ${message.text()}`);
    });
    page.on('pageerror', (error) => this.complaints.push(`${page.url()}: ${error}`));
    return page;
  }

  /** Somebody who signed in with a password. */
  async signedIn(site, who = ADMIN, options = {}) {
    const page = await this.visitor(site, options);
    await page.goto('/admin/sign-in');
    await page.getByLabel('E-mail').fill(who.email);
    await page.getByLabel('Password').fill(who.password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.waitForURL(/\/admin(\/(?!sign-in)|$)/);
    return page;
  }

  async stop() {
    await this.chromium.close();
    assert.deepEqual(this.complaints, [], 'the browser complained');
  }
}

/** Makes the first admin, as the setup link lets one do. */
export async function setUp(browser, site, who = ADMIN) {
  const page = await browser.visitor(site);
  await page.goto(site.setupPath());
  await page.getByLabel('E-mail').fill(who.email);
  await page.getByLabel('Name').fill(who.name);
  await page.getByLabel('Password', { exact: true }).fill(who.password);
  await page.getByRole('button', { name: /set up|create/i }).click();
  await page.waitForURL(/\/admin$/);
  return page;
}

let shots = 0;

/**
 * Looks at a page: nothing serious for axe, nothing wider than the window, and, where they are asked
 * for, screenshots at three widths in both colour schemes.
 */
export async function look(page, name) {
  await page.evaluate(axe);
  const found = await page.evaluate(async () => (await globalThis.axe.run(document)).violations);
  const serious = found.filter((violation) => ['serious', 'critical'].includes(violation.impact));
  const told = serious.map((violation) => `${violation.id}: ${violation.nodes.map((node) => node.html).join(' | ')}`);
  assert.deepEqual(told, [], `axe on ${name} (${page.url()})`);
  const before = page.viewportSize();
  for (const width of [390, 1024, 1600]) {
    await page.setViewportSize({ width, height: 900 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(wide <= 0, `${name} is ${wide} pixels wider than a window of ${width}`);
    if (!process.env.SCREENSHOTS) continue;
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      const path = join(process.env.SCREENSHOTS, `${name}-${width}-${colorScheme}-${(shots += 1)}.png`);
      await page.screenshot({ path, fullPage: true });
    }
    await page.emulateMedia({ colorScheme: null });
  }
  await page.setViewportSize(before);
}
