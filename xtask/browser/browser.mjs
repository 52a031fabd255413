// A browser to use a site with, and eyes that look at every page.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before } from 'node:test';

import { Site } from './site.mjs';

const load = createRequire(join(process.env.NODE_MODULES, 'from-here.js'));
const { chromium } = load('playwright-core');
const axe = readFileSync(load.resolve('axe-core/axe.min.js'), 'utf8');

export const ADMIN = { email: 'ann@example.org', name: 'Ann Lee', password: 'correct horse battery' };

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--host-resolver-rules=MAP plain.test 127.0.0.1',
];

/** A browser whose pages must complain of nothing. */
export class Browser {
  complaints = [];

  static async start() {
    const browser = new Browser();
    const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
    browser.chromium = await chromium.launch({ executablePath, args: FLAGS });
    return browser;
  }

  /** A new visitor with a page, whose complaints are kept. */
  async visitor(site, options = {}) {
    const context = await this.chromium.newContext({ baseURL: site.url, ...options });
    // What the policy blocks is an error of the console, too, but not everything of that says where.
    await context.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (event) => {
        console.error(`blocked ${event.blockedURI} by ${event.effectiveDirective}: ${event.sample}`);
      });
    });
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    const complain = (what) => this.complaints.push(`${page.url()}: ${what}`);
    page.on('console', (message) => {
      // Which answers are failures, the next one knows better.
      const isAnswer = message.text().startsWith('Failed to load resource');
      if (message.type() === 'error' && !isAnswer) complain(message.text());
    });
    page.on('response', (response) => {
      // A refused form and a missing page are answers.
      const kind = response.request().resourceType();
      const isAnswer = ['document', 'fetch', 'xhr'].includes(kind);
      // A page whose session has ended elsewhere hears of nothing any more.
      const isOver = kind === 'eventsource' && response.status() === 401;
      if (response.status() >= 400 && !isAnswer && !isOver) complain(`${response.status()} for ${response.url()}`);
    });
    page.on('pageerror', complain);
    page.on('dialog', (dialog) => {
      complain(`a dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
    return page;
  }

  /** Somebody who signed in with a password. */
  async signedIn(site, who = ADMIN, options = {}) {
    const page = await this.visitor(site, options);
    await page.goto('/admin/sign-in');
    await signIn(page, who);
    return page;
  }

  /** Another window of somebody who is signed in, or another browser that has their cookies. */
  async beside(site, page, options = {}) {
    return this.visitor(site, { storageState: await page.context().storageState(), ...options });
  }

  async stop() {
    await this.chromium.close();
    assert.deepEqual(this.complaints, [], 'the browser complained');
  }
}

/** Fills in the form on the page, and waits until its answer is there. */
export async function signIn(page, who = ADMIN) {
  await page.getByLabel('E-mail').fill(who.email);
  await page.getByLabel('Password').fill(who.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL((url) => url.pathname !== '/admin/sign-in');
}

/** Makes the first admin, as the setup link lets one do. */
export async function setUp(browser, site, who = ADMIN) {
  const page = await browser.visitor(site);
  await page.goto(site.setupPath());
  await page.getByLabel('Name').fill(who.name);
  await page.getByLabel('E-mail').fill(who.email);
  await page.getByLabel('Password', { exact: true }).fill(who.password);
  await page.getByRole('button', { name: 'Set up' }).click();
  await page.waitForURL(/\/admin$/);
  return page;
}

/** Opens a page that is told of what happens, and waits until it listens. */
export async function openLive(page, path) {
  await Promise.all([page.waitForResponse(/\/admin\/live$/), page.goto(path)]);
}

/** A server and a browser for the stories of a file; they are there once the stories are told. */
export function stage(flags) {
  const stage = {};
  before(async () => {
    [stage.site, stage.browser] = await Promise.all([Site.start(flags), Browser.start()]);
  });
  after(async () => {
    try {
      await stage.browser?.stop();
    } finally {
      await stage.site?.stop();
    }
  });
  return stage;
}

const SCHEMES = ['light', 'dark'];
const WIDTHS = [390, 1024, 1600];

/**
 * Looks at a page in both colour schemes and at three widths: axe finds nothing serious, and nothing
 * is wider than the window. Where screenshots are asked for, they are kept under the page's name.
 */
export async function look(page, name) {
  const before = page.viewportSize();
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 900 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(wide <= 0, `${name} (${page.url()}) is ${wide} pixels wider than a window of ${width}`);
    if (!process.env.SCREENSHOTS) continue;
    for (const colorScheme of SCHEMES) {
      await page.emulateMedia({ colorScheme });
      const path = join(process.env.SCREENSHOTS, `${name}-${width}-${colorScheme}.png`);
      await page.screenshot({ path, fullPage: true });
    }
  }
  await page.setViewportSize(before);
  await page.evaluate(axe);
  for (const colorScheme of SCHEMES) {
    await page.emulateMedia({ colorScheme });
    // Colours are all that differs in the dark.
    const told = await page.evaluate(serious, colorScheme === 'dark' ? ['color-contrast'] : null);
    assert.deepEqual(told, [], `axe on ${name} (${page.url()}), ${colorScheme}`);
  }
  await page.emulateMedia({ colorScheme: null });
}

/** Runs in the page. */
async function serious(onlyRules) {
  const options = { resultTypes: ['violations'], rules: { 'target-size': { enabled: true } } };
  if (onlyRules) options.runOnly = { type: 'rule', values: onlyRules };
  const { violations } = await globalThis.axe.run(document, options);
  const found = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
  return found.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' | ')}`);
}
