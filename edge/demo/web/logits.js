/** Sums of the exponentials of logits, which are too large to be added as they are. */

/** The logarithm of the sum of the exponentials of logits. */
export function logSum(logits) {
  const highest = logits.reduce((most, one) => Math.max(most, one), -Infinity);
  return highest + Math.log(logits.reduce((all, one) => all + Math.exp(one - highest), 0));
}
