// A server of its own for each file of stories, and the programs that are used with it.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A running `distd` with a folder of its own. */
export class Site {
  files = 0;
  log = '';

  /** Starts one with these flags, and waits until it answers. */
  static async start(flags = []) {
    const site = new Site();
    site.folder = mkdtempSync(join(tmpdir(), 'dist-browser-'));
    site.data = join(site.folder, 'data');
    const portFile = join(site.folder, 'port');
    const args = ['--data', site.data, '--listen', '127.0.0.1:0', '--port-file', portFile, ...flags];
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
    return this.#answer(process.env.DIST, [...args, '--local-store', this.data]);
  }

  /** Runs `dist … --json` against the server with a token. */
  remote(token, ...args) {
    return this.#answer(process.env.DIST, [...args, '--server', this.url], { DIST_TOKEN: token });
  }

  /** The same, where it must be refused; gives the error and the exit code. */
  async refused(token, ...args) {
    const { code, answer } = await run(process.env.DIST, [...args, '--server', this.url], { DIST_TOKEN: token });
    return { code, error: answer.error };
  }

  /** Lets somebody in, whose password is set. */
  async person({ email, name, password }, ...roles) {
    const data = ['--data', this.data];
    await this.#answer(process.env.DISTD, ['user', 'add', email, '--name', name, ...roles, ...data]);
    await this.#answer(process.env.DISTD, ['user', 'set-password', email, '--password-stdin', ...data], {}, password);
  }

  /** Lets somebody in, and gives the path of the link with which they set their password. */
  async invite(email, ...roles) {
    const { url } = await this.#answer(process.env.DISTD, ['user', 'add', email, ...roles, '--data', this.data]);
    return new URL(url).pathname;
  }

  async #answer(program, args, env, input) {
    const { code, answer, told } = await run(program, args, env, input);
    assert.equal(code, 0, `${args.join(' ')}: ${told}`);
    return answer;
  }

  /** A file to publish, made of some text. */
  file(name, text) {
    const folder = join(this.folder, 'files', String((this.files += 1)));
    mkdirSync(folder, { recursive: true });
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  }

  /** Publishes a Linux file, as CI would; `more` goes into the manifest. */
  publish(app, version, channel, more = {}, through = (...args) => this.dist(...args)) {
    const file = this.file(`${app}-${version}.bin`, `${app} ${version}`);
    const artifacts = [{ platform: 'linux', arch: 'x86_64', path: file }];
    const manifest = JSON.stringify({ app, version, channel, artifacts, ...more });
    return through('ci', 'publish', '--manifest', this.file('dist.json', manifest));
  }

  async stop() {
    const ended = once(this.process, 'exit');
    this.process.kill('SIGTERM');
    await ended;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Runs a program of ours, and gives its exit code and the JSON that it answers. */
function run(program, args, env = {}, input = '') {
  return new Promise((resolve) => {
    const options = { env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env }, timeout: 60_000 };
    const child = execFile(program, [...args, '--json'], options, (error, stdout, stderr) => {
      const code = error ? (error.code ?? error.signal) : 0;
      resolve({ code, answer: JSON.parse(stdout || '{}'), told: stdout + stderr });
    });
    // It may end without having read what nobody told it to read.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
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
