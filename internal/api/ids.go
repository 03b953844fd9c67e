package api

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// plainInteger renders a JSON number as decimal digits: 1e3 becomes "1000". Fractions and numbers beyond 64 bits are errors.
func plainInteger(number json.Number) (string, error) {
	if n, err := strconv.ParseInt(number.String(), 10, 64); err == nil {
		return strconv.FormatInt(n, 10), nil
	}
	if len(number) > 64 {
		return "", fmt.Errorf("number of %d characters is no job id", len(number))
	}
	float, err := strconv.ParseFloat(number.String(), 64)
	if err != nil || float > 1<<53 || float < -(1<<53) {
		return "", fmt.Errorf("%s is no job id", number)
	}
	rat, ok := new(big.Rat).SetString(number.String())
	if !ok || !rat.IsInt() || !rat.Num().IsInt64() {
		return "", fmt.Errorf("%s is no job id", number)
	}
	return rat.Num().String(), nil
}

// ParseUID splits a job's UID at the first "-" into its id and its queue; the queue is empty for a plain id.
func ParseUID(uid string) (id int64, queue string, err error) {
	digits, queue, _ := strings.Cut(uid, "-")
	id, err = strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, "", fmt.Errorf("job uid %q does not begin with a decimal id", uid)
	}
	return id, queue, nil
}
