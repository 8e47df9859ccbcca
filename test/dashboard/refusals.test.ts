/** Who was refused what, and which source or rule has decided (D-058). */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lacks } from "../support/programs.ts";
import { mqttClient } from "./devices.ts";
import { CLICKED, enter, launch, look, row, type Site, startSite } from "./site.ts";

describe.skipIf(lacks("chromium"))("where logins and rules decide", () => {
  let site: Site;
  let browser: Browser;
  beforeAll(async () => {
    [site, browser] = await Promise.all([
      startSite(`authentication: { chain: [{ kind: user-list }] }
authorization: { rules: [{ permission: deny, who: all, action: publish, topics: ["secret/#"] }] }`),
      launch(),
    ]);
    await site.ask("POST", "/authentication/users", { username: "meter-7", password: "correct horse" });
  });
  afterAll(async () => {
    await browser?.close();
    await site?.stop();
  });

  it.each(CLICKED)(
    "refusals say what was asked, how often, and what has decided, at $name",
    async ({ name, ...view }) => {
      const [meter, pump] = [`meter ${name}`, `pump ${name}`];
      const { page, wrong, close } = await look(browser, site.base, view);
      await enter(page, site.base, "/refusals");
      const login = { username: "meter-7", password: "wrong" };
      await expect(mqttClient(site.ports, meter, login)).rejects.toThrow();
      const writer = await mqttClient(site.ports, pump, { protocolVersion: 5 });
      for (let count = 0; count < 3; count++)
        await writer.publishAsync("secret/x", "1", { qos: 1 }).catch(() => undefined);
      writer.end(true);
      await row(page, meter)
        .filter({ hasText: "unauthenticated" })
        .filter({ hasText: "user-list" })
        .waitFor();
      const denied = row(page, pump).filter({ hasText: "secret/x" });
      await denied.filter({ hasText: "forbidden" }).filter({ hasText: /rule/i }).waitFor();
      await denied.locator("td[data-title=Count]").getByText("3", { exact: true }).waitFor();
      await page.getByLabel("Refusal").selectOption("forbidden");
      await row(page, meter).waitFor({ state: "detached" });
      await denied.getByRole("link", { name: `trace ${pump}` }).click();
      await page.getByRole("heading", { name: "Translation", level: 1 }).waitFor();
      expect(await page.getByLabel("client", { exact: true }).inputValue()).toBe(pump);
      expect(wrong).toEqual([]);
      await close();
    },
  );
});
