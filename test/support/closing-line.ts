import type { Reporter, TestModule } from "vitest/node";
import { missingPackages, programsNamedIn } from "./programs.ts";

/** Ends a run with what was not run and why, and one line that any reader can count: `N passed, N failed`. */
export class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    let passed = 0;
    let failed = unhandledErrors.length;
    const notRun: string[] = [];
    for (const module of modules) {
      if (module.errors().length > 0) failed++;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "passed") passed++;
        else if (state === "failed") failed++;
        else notRun.push(`${module.relativeModuleId} > ${test.fullName}: ${reason(module)}`);
      }
    }
    if (notRun.length > 0) console.log(`\nnot run:\n${notRun.map((line) => `  ${line}`).join("\n")}`);
    const tail = notRun.length > 0 ? `, ${notRun.length} skipped` : "";
    console.log(`\n${passed} passed, ${failed} failed${tail}`);
  }
}

/** The Debian packages that the file's tests lack; a test that is skipped for no such reason is a defect. */
function reason(module: TestModule): string {
  const missing = missingPackages(programsNamedIn(module.moduleId));
  return missing.length === 0 ? "skipped" : `needs Debian's ${missing.join(", ")}`;
}
