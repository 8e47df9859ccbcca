import { describe, expect, it } from "vitest";
import { parseDefinition } from "#gateways/lwm2m/objects/definition-xml.ts";
import { Definitions, type ObjectModel } from "#gateways/lwm2m/objects/model.ts";
import { Path, parsePath } from "#gateways/lwm2m/objects/path.ts";
import { definitionFiles } from "../../support/lwm2m-config.ts";

const path = (text: string): Path => {
  const parsed = parsePath(text);
  if (!parsed.ok) throw new Error(text);
  return parsed.value;
};

const shipped: ObjectModel[] = Object.entries(definitionFiles()).flatMap(([name, bytes]) => {
  const models = parseDefinition(bytes);
  if (!models.ok) throw new Error(`${name}: ${models.error.problem}`);
  return models.value;
});

const ddf = (version: string, type: string) =>
  Buffer.from(`<?xml version="1.0"?>
    <!-- a licence -->
    <LWM2M xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="LWM2M.xsd">
      <Object ObjectType="MODefinition">
        <Name>Thing</Name>
        <Description1><![CDATA[with <markup> & all]]></Description1>
        <ObjectID>9000</ObjectID><ObjectURN>urn:oma:lwm2m:x:9000:${version}</ObjectURN>
        <LWM2MVersion>1.0</LWM2MVersion><ObjectVersion>${version}</ObjectVersion>
        <MultipleInstances>Multiple</MultipleInstances><Mandatory>Optional</Mandatory>
        <Resources>
          <Item ID="1"><Name>Value</Name><Operations>RW</Operations><MultipleInstances>Single</MultipleInstances>
            <Mandatory>Mandatory</Mandatory><Type>${type}</Type><RangeEnumeration>0..9</RangeEnumeration><Units>V</Units>
            <Description>text</Description></Item>
          <Item ID="2"><Name>Go</Name><Operations>E</Operations><MultipleInstances>Single</MultipleInstances>
            <Mandatory>Optional</Mandatory><Type/><RangeEnumeration/><Units/></Item>
        </Resources>
        <Description2/>
      </Object>
    </LWM2M>`);

describe("the definitions that come with the gateway", () => {
  it("cover the core objects and the IPSO sensors", () => {
    const ids = new Set(shipped.map((model) => model.id));
    const core = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 19, 21, 22, 23, 25, 26];
    const ipso = [3200, 3201, 3202, 3203, ...Array.from({ length: 51 }, (_, index) => 3300 + index)];
    const missing = [...core, ...ipso].filter((id) => !ids.has(id) && id !== 3307 && id !== 3309);
    expect(missing).toEqual([]);
  });

  it("give each resource a type, or make it executable, and never both", () => {
    for (const model of shipped) {
      for (const resource of model.resources.values()) {
        const executable = resource.operations === "E";
        expect(resource.type === undefined, `${model.id}/${resource.id}`).toBe(executable);
        expect(resource.name, `${model.id}/${resource.id}`).not.toBe("");
      }
    }
  });

  it("carry the version in the URN as the registry writes it", () => {
    for (const { id, version, urn } of shipped) {
      const kind = id < 2048 ? "oma" : id < 10_241 ? "ext" : "x";
      expect(urn).toBe(`urn:oma:lwm2m:${kind}:${id}${version === "1.0" ? "" : `:${version}`}`);
    }
  });

  it.each([
    [0, ["1.2", "1.1", "1.0"]],
    [1, ["1.2", "1.1", "1.0"]],
    [3, ["1.2", "1.1", "1.0"]],
    [4, ["1.3", "1.2", "1.1", "1.0"]],
    [5, ["1.2", "1.1", "1.0"]],
  ])("hold the versions of object %i side by side", (id, versions) => {
    const held = shipped.filter((model) => model.id === id).map((model) => model.version);
    expect(held.sort().reverse()).toEqual(versions);
  });

  it("add to an object with its minor versions and take nothing away", () => {
    for (const model of shipped) {
      for (const later of shipped) {
        const same = later.id === model.id && later.version.split(".")[0] === model.version.split(".")[0];
        if (!same || later.version <= model.version) continue;
        const gone = [...model.resources.keys()].filter((id) => !later.resources.has(id));
        expect(gone, `${model.id} ${model.version} to ${later.version}`).toEqual([]);
      }
    }
  });

  it.each([
    ["/3/0/9", "integer", false],
    ["/3/0/7", "integer", true],
    ["/3/0/13", "time", false],
    ["/3303/0/5700", "float", false],
    ["/5/0/0", "opaque", false],
    ["/3/0/22", "objlnk", true],
    ["/25/0/3", "corelnk", false],
    ["/3/0/4", undefined, false],
  ])("%s is %s", (at, type, multiple) => {
    const definitions = new Definitions();
    for (const model of shipped) definitions.add(model);
    expect(definitions.resource(path(at))).toMatchObject({ type, multiple });
  });
});

describe("definition files", () => {
  it("of OMA's form are read, with licence, descriptions and empty elements", () => {
    const models = parseDefinition(ddf("1.1", "Unsigned Integer"));
    expect(models.ok && models.value).toMatchObject([
      { id: 9000, name: "Thing", version: "1.1", multiple: true, mandatory: false },
    ]);
    expect(models.ok && [...(models.value[0]?.resources.values() ?? [])]).toEqual([
      {
        id: 1,
        name: "Value",
        operations: "RW",
        multiple: false,
        mandatory: true,
        type: "unsigned",
        range: "0..9",
        units: "V",
      },
      {
        id: 2,
        name: "Go",
        operations: "E",
        multiple: false,
        mandatory: false,
        type: undefined,
        range: "",
        units: "",
      },
    ]);
  });

  it.each([
    ["no XML", "{}"],
    ["an element that is not closed", "<LWM2M><Object></LWM2M>"],
    ["no object", "<LWM2M></LWM2M>"],
    ["an object without an identifier", "<LWM2M><Object><Name>x</Name></Object></LWM2M>"],
    ["an identifier out of range", "<LWM2M><Object><ObjectID>65535</ObjectID></Object></LWM2M>"],
    [
      "unknown operations",
      '<LWM2M><Object><ObjectID>1</ObjectID><Resources><Item ID="1"><Operations>X</Operations></Item></Resources></Object></LWM2M>',
    ],
    [
      "an unknown type",
      '<LWM2M><Object><ObjectID>1</ObjectID><Resources><Item ID="1"><Type>Colour</Type></Item></Resources></Object></LWM2M>',
    ],
    [
      "a resource without an identifier",
      "<LWM2M><Object><ObjectID>1</ObjectID><Resources><Item><Name>x</Name></Item></Resources></Object></LWM2M>",
    ],
  ])("with %s are refused", (_what, xml) => {
    expect(parseDefinition(Buffer.from(xml)).ok).toBe(false);
  });

  it("of several versions stand side by side; a missing version falls back within its major, then to the newest", () => {
    const definitions = new Definitions();
    for (const [version, type] of [
      ["1.0", "Integer"],
      ["1.2", "Float"],
      ["2.0", "String"],
    ] as const) {
      const models = parseDefinition(ddf(version, type));
      if (models.ok) for (const model of models.value) definitions.add(model);
    }
    const typeIn = (version?: string) => definitions.resource(path("/9000/0/1"), version)?.type;
    expect(typeIn("1.0")).toBe("integer");
    expect(typeIn()).toBe("integer");
    expect(typeIn("1.2")).toBe("float");
    expect(typeIn("1.5")).toBe("float");
    expect(typeIn("2.3")).toBe("string");
    expect(typeIn("7.0")).toBe("string");
    expect(definitions.object(1234)).toBeUndefined();
  });

  it("lend one another resources: what a minor version added is typed for a device that names an older one", () => {
    const definitions = new Definitions();
    for (const model of shipped) definitions.add(model);
    expect(definitions.object(5, "1.0")?.resources.has(10)).toBe(false);
    expect(definitions.resource(path("/5/0/10"), "1.0")).toMatchObject({ operations: "E" });
    expect(definitions.resource(path("/5/0/99"), "1.0")).toBeUndefined();
  });
});

describe("paths", () => {
  it.each([
    ["/", "root"],
    ["/3", "object"],
    ["/3/0", "instance"],
    ["/3/0/1", "resource"],
    ["/3/0/1/2", "resource-instance"],
  ])("%s is a path of kind %s", (text, kind) => {
    expect(path(text).kind).toBe(kind);
    expect(path(text).toString()).toBe(text);
  });

  it.each([
    ["3/0", "/3/0"],
    ["/3/0/", "/3/0"],
    ["", "/"],
  ])("%j is read as %s", (text, expected) => {
    expect(path(text).toString()).toBe(expected);
  });

  it.each(["/x", "/03", "/-1", "/65535", "/1/2/3/4/5", "//", "/1//2", "/1.0", "/ 1", "/1/+"])(
    "%j is no path",
    (text) => {
      expect(parsePath(text).ok).toBe(false);
    },
  );

  it("cover what lies below them", () => {
    expect(path("/3").covers(path("/3/0/1"))).toBe(true);
    expect(path("/").covers(path("/3"))).toBe(true);
    expect(path("/3/0").covers(path("/3/1"))).toBe(false);
    expect(path("/3/0/1").up(1).toString()).toBe("/3");
    expect(Path.of(1, 2, 3, 4)?.child(5)).toBeUndefined();
  });
});
