package rancher

// LimitValues lowers the bound on one JSON value, so that tests need no 32 MiB to exceed it.
func (c *Client) LimitValues(n int64) { c.valueLimit = n }
