/** Sets a member of an object's own whatever its name is: what comes from outside may call it `__proto__`. */
export function put<V>(object: Record<string, V>, name: string, value: V): void {
  if (name === "__proto__") {
    Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
  } else object[name] = value;
}
