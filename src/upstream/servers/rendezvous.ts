/**
 * Rendezvous hashing: each server has a score for each name, and the highest wins. A server that goes leaves its names to
 * the others, one that comes takes its share of each, and no other name moves. Weights by the logarithmic method, so that
 * a weight that changes moves no more than the difference.
 */
import { hashOf } from "../hash.ts";

/** Between 0 and 1, both excluded. */
const unit = (hash: number): number => (hash + 0.5) / 0x1_0000_0000;

export const score = (name: string, server: string, weight: number): number =>
  weight / -Math.log(unit(hashOf(`${server}\n${name}`)));
