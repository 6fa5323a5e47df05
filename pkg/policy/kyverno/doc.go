// Package kyverno evaluates Kyverno's ClusterPolicy and Policy.
package kyverno
